# The modules with sample settings: what they make of them, and that the manifest in it was read
# by the program.
{
  self,
  nixpkgs,
  pkgs,
}:
let
  inherit (pkgs) lib;
  inherit (pkgs.stdenv.hostPlatform) system;

  pipelines = {
    nightly = {
      settings = {
        defaults.timeout = "5m";
        step = [
          {
            name = "list";
            start = true;
            packages = [ pkgs.coreutils ];
            script = "date > $OUTPUT_DIR/show";
          }
          {
            name = "show";
            packages = [ "gnused" ];
            script = "sed s/^/now:/ $INPUT_FILE > $OUTPUT_DIR/now.txt";
          }
        ];
      };
      schedule = "daily";
      parallel = 2;
      migrateTainted = true;
      environmentFile = "/run/secrets/nightly.env";
      credentials.token = "/run/secrets/token";
      serviceConfig.MemoryMax = "1G";
    };
    by-hand = {
      manifest = ../../templates/default/workflow.toml;
      src = ../../templates/default;
      locked = true;
      extraArgs = [ "-fail-fast" ];
    };
  };

  nixos = nixpkgs.lib.nixosSystem {
    inherit system;
    modules = [
      self.nixosModules.default
      {
        boot.loader.grub.enable = false;
        fileSystems."/" = {
          device = "/dev/disk/by-label/nixos";
          fsType = "ext4";
        };
        system.stateVersion = lib.trivial.release;
        services.task-pipeline = {
          enable = true;
          inherit pipelines;
        };
      }
    ];
  };

  # What home-manager offers of itself; it is no input of this flake.
  homeOptions = {
    options = {
      assertions = lib.mkOption { type = lib.types.listOf lib.types.raw; };
      home.packages = lib.mkOption { type = lib.types.listOf lib.types.package; };
      home.profileDirectory = lib.mkOption {
        type = lib.types.str;
        default = "/home/user/.nix-profile";
      };
      home.homeDirectory = lib.mkOption {
        type = lib.types.str;
        default = "/home/user";
      };
      launchd.agents = lib.mkOption {
        type = lib.types.attrsOf lib.types.anything;
        default = { };
      };
      xdg.stateHome = lib.mkOption {
        type = lib.types.str;
        default = "/home/user/.local/state";
      };
      systemd.user = lib.genAttrs [ "services" "timers" ] (
        _:
        lib.mkOption {
          type = lib.types.attrsOf (lib.types.attrsOf (lib.types.attrsOf lib.types.anything));
          default = { };
        }
      );
    };
  };
  home = lib.evalModules {
    specialArgs = { inherit pkgs; };
    modules = [
      homeOptions
      self.homeModules.default
      {
        programs.task-pipeline.enable = true;
        services.task-pipeline = {
          enable = true;
          inherit pipelines;
        };
      }
    ];
  };

  # Looks for these arguments, one after the other, in a unit's script.
  has =
    arguments: script: "grep -F -e ${lib.escapeShellArg (lib.escapeShellArgs arguments)} ${script}";
  nightlyArguments = [
    "-run"
    "-fresh"
    "-migrate-tainted"
    "-parallel"
    "2"
  ];

  failed = config: map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
in
{
  nixos-module =
    let
      inherit (nixos.config.systemd) services timers;
      nightly = services.task-pipeline-nightly.serviceConfig;
    in
    assert services ? task-pipeline-by-hand && !(timers ? task-pipeline-by-hand);
    assert timers.task-pipeline-nightly.timerConfig.OnCalendar == "daily";
    assert nightly.MemoryMax == "1G" && nightly.NoNewPrivileges && nightly.Type == "oneshot";
    pkgs.runCommand "check-nixos-module" { } ''
      ${has nightlyArguments nightly.ExecStart}
      ${has [
        "-run"
        "-locked"
        "-fail-fast"
      ] services.task-pipeline-by-hand.serviceConfig.ExecStart}
      touch $out
    '';

  home-module =
    let
      inherit (home.config.systemd.user) services timers;
    in
    assert failed home.config == [ ];
    assert timers.task-pipeline-nightly.Timer.OnCalendar == "daily";
    pkgs.runCommand "check-home-module" { } ''
      ${has nightlyArguments services.task-pipeline-nightly.Service.ExecStart}
      ${has [
        "-db"
        "/home/user/.local/state/task-pipeline/nightly/db"
      ] services.task-pipeline-nightly.Service.ExecStart}
      touch $out
    '';
}
