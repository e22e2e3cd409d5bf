# The units of a machine with these pipelines: what the NixOS module makes of them.
{
  flake,
  nixpkgs,
  system ? builtins.currentSystem,
}:
let
  stub = builtins.getFlake nixpkgs;
  self = (import "${flake}/flake.nix").outputs {
    self = self // {
      outPath = flake;
    };
    nixpkgs = stub;
  };
  step = name: script: {
    inherit name script;
  };
  start = name: script: step name script // { start = true; };
in
(stub.lib.nixosSystem {
  inherit system;
  modules = [
    self.nixosModules.default
    {
      services.task-pipeline = {
        enable = true;
        pipelines = {
          # Every other second, a new runset.
          timed = {
            schedule = "*:*:0/2";
            timerConfig.AccuracySec = "100ms";
            settings.step = [
              (
                start "make" ''
                  for n in 1 2 3; do echo $n > "$OUTPUT_DIR/$n"_upper; done
                ''
                // {
                  packages = [ "coreutils" ];
                }
              )
              (step "upper" ''tr 0-9 a-j < "$INPUT_FILE" > "$OUTPUT_DIR/result.txt"'')
            ];
          };
          # Long enough to be stopped in the middle.
          slow.settings.step = [
            (start "many" ''for n in $(seq 1 40); do echo $n > "$OUTPUT_DIR/$n"_wait; done'')
            (step "wait" ''sleep 0.2; echo "$TASK_PIPELINE_TASK" >> "$HOME/ran"; cp "$INPUT_FILE" "$OUTPUT_DIR/''${TASK_PIPELINE_INPUT_NAME%_wait}.txt"'')
          ];
          # What scripts do and what they are kept from.
          curious.settings.step = [
            (start "look" ''
              cp -a /etc/passwd "$OUTPUT_DIR/passwd.txt"
              chown "$(id -u)" "$OUTPUT_DIR/passwd.txt"
              install -m 0640 /etc/hostname "$TMPDIR/copy"
              {
                cat /var/lib/task-pipeline/slow/db/db > /dev/null && echo "read the state of another"
                kill -0 1 && echo "may signal others"
                touch /var/lib/beyond && echo "wrote outside"
                test -e /dev/kmsg && echo "has a device"
                unshare -U true && echo "made a namespace"
                true
              } > "$OUTPUT_DIR/escapes.txt" 2> /dev/null
            '')
          ];
          failing.settings.step = [
            (start "break" ''echo "the disk is on fire" >&2; exit 1'')
          ];
          # One of three scripts takes more memory than there is.
          hungry = {
            serviceConfig.MemoryMax = "64M";
            settings.step = [
              (start "three" ''for n in a b c; do echo $n > "$OUTPUT_DIR/''${n}_eat"; done'')
              (step "eat" ''
                if grep -q b "$INPUT_FILE"; then head -c 200M /dev/zero | tail -c 199M > /dev/null; fi
                cp "$INPUT_FILE" "$OUTPUT_DIR/''${TASK_PIPELINE_INPUT_NAME%_eat}.txt"
              '')
            ];
          };
        };
      };
    }
  ];
}).config.system.build.toplevel
