# A cluster of two nodes with Slurm, and a machine whose service has its tasks carried out on them.
{ self, pkgs }:
let
  package = self.packages.${pkgs.stdenv.hostPlatform.system}.task-pipeline;

  # Of all three machines.
  member = {
    services.slurm = {
      controlMachine = "control";
      nodeName = [ "n[1-2] CPUs=1 State=UNKNOWN" ];
      partitionName = [ "main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP" ];
    };
    # The same key on each: nobody else is here.
    systemd.tmpfiles.rules = [
      "f /etc/munge/munge.key 0400 munge munge - only-these-three-machines-know-this-key"
    ];
    networking.firewall.enable = false;
    # A job runs as the user who asked for it, whom the nodes have to know.
    users.users.pipe = {
      isSystemUser = true;
      uid = 995;
      group = "pipe";
    };
    users.groups.pipe.gid = 995;
    environment.systemPackages = [ package ];
  };
  node = {
    imports = [ member ];
    services.slurm.client.enable = true;
  };
in
pkgs.testers.runNixOSTest {
  name = "task-pipeline-slurm";

  nodes = {
    n1 = node;
    n2 = node;
    control =
      { pkgs, ... }:
      {
        imports = [
          member
          self.nixosModules.default
        ];
        environment.systemPackages = [ pkgs.sqlite ];
        services.slurm = {
          server.enable = true;
          enableStools = true;
        };
        services.task-pipeline = {
          enable = true;
          pipelines.spread = {
            user = "pipe";
            group = "pipe";
            executor = "cluster";
            settings = {
              executors.cluster = {
                slurm = [ ];
                workers = 2;
                slots = 1;
              };
              step = [
                {
                  name = "make";
                  start = true;
                  script = ''
                    for n in 1 2 3 4; do echo $n > "$OUTPUT_DIR/$n"_where; done
                  '';
                }
                {
                  name = "where";
                  packages = [ pkgs.coreutils ];
                  # Long enough for the other node to get some.
                  script = ''
                    sleep 2
                    cat /etc/hostname > "$OUTPUT_DIR/$TASK_PIPELINE_KEY.txt"
                  '';
                }
              ];
            };
          };
        };
      };
  };

  testScript = ''
    start_all()
    for machine in (control, n1, n2):
        machine.wait_for_unit("multi-user.target")
    control.wait_for_unit("slurmctld.service")
    for machine in (n1, n2):
        machine.wait_for_unit("slurmd.service")
    control.wait_until_succeeds("sinfo -h -o %t | grep -q idle", timeout=120)

    program = "su -s /bin/sh pipe -c 'cd /var/lib/task-pipeline/spread/work && task-pipeline -db ../db {}'"

    with subtest("an executor says what holds of it"):
        control.succeed("systemctl start task-pipeline-spread")
        control.succeed(program.format("check -executor cluster") + " | grep -q 'all of it works'")

    with subtest("the nodes did the work, and no job is left"):
        control.succeed(program.format("export -to /tmp/results"))
        found = set(control.succeed("cat /tmp/results/*.txt").split())
        assert found == {"n1", "n2"}, found
        control.wait_until_succeeds("test -z \"$(squeue -h)\"", timeout=60)
  '';
}
