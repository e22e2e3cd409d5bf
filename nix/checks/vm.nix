# A machine with two pipelines: one that a timer starts, one with a step that fails; and both
# after a reboot.
{ self, pkgs }:
pkgs.testers.runNixOSTest {
  name = "task-pipeline";

  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ self.nixosModules.default ];

      environment.systemPackages = [ pkgs.sqlite ];
      services.task-pipeline = {
        enable = true;
        pipelines.good = {
          schedule = "*:*:0/30";
          timerConfig.AccuracySec = "1s";
          settings.step = [
            {
              name = "make";
              start = true;
              packages = [ pkgs.coreutils ];
              script = ''
                for n in 1 2 3; do echo $n > "$OUTPUT_DIR/$n"_upper; done
              '';
            }
            {
              name = "upper";
              packages = [ pkgs.gnused ];
              script = ''
                sed s/^/number-/ "$INPUT_FILE" > "$OUTPUT_DIR/result.txt"
              '';
            }
          ];
        };
        pipelines.bad = {
          settings.step = [
            {
              name = "start";
              start = true;
              script = ''
                echo data > "$OUTPUT_DIR/break"
              '';
            }
            {
              name = "break";
              script = ''
                echo "the disk is on fire" >&2
                test -e "$HOME/mended"
                echo fine > "$OUTPUT_DIR/fine.txt"
              '';
            }
          ];
        };
      };
    };

  testScript = ''
    state = "/var/lib/task-pipeline"

    def count(pipeline, where):
        query = f"select count(*) from task where {where}"
        return int(machine.succeed(f"sqlite3 {state}/{pipeline}/db/db '{query}'"))

    machine.wait_for_unit("multi-user.target")

    with subtest("the timer runs the pipeline"):
        machine.succeed("systemctl is-active task-pipeline-good.timer")
        machine.wait_until_succeeds(
            "journalctl -u task-pipeline-good | grep -q Finished", timeout=120
        )
        machine.fail("systemctl is-failed task-pipeline-good")
        assert count("good", "step_id is null") >= 3

    with subtest("a failing step fails the unit and says why in the journal"):
        machine.fail("systemctl start task-pipeline-bad")
        machine.succeed("systemctl is-failed task-pipeline-bad")
        machine.succeed("journalctl -u task-pipeline-bad | grep -q 'the disk is on fire'")
        assert count("bad", "processed = 0") == 1

    with subtest("the service runs as a user of its own, and only it can read the state"):
        machine.succeed(f"test $(stat -c %U {state}/good/db/db) = task-pipeline-good")
        machine.fail(f"su -s /bin/sh nobody -c 'ls {state}/good'")
        machine.fail(f"su -s /bin/sh task-pipeline-bad -c 'ls {state}/good'")

    with subtest("the state outlives a reboot, and the failed task goes on"):
        machine.succeed("systemctl stop task-pipeline-good.timer")
        done = count("bad", "processed = 1")
        machine.shutdown()
        machine.start()
        machine.wait_for_unit("multi-user.target")
        assert count("bad", "processed = 1") == done
        assert count("good", "step_id is null") >= 3
        machine.succeed(f"touch {state}/bad/mended")
        machine.succeed("systemctl start task-pipeline-bad")
        assert count("bad", "processed = 0") == 0
  '';
}
