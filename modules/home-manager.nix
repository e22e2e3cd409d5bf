# `programs.task-pipeline` and `services.task-pipeline`: the program, and pipelines as user units, on
# macOS as launchd agents.
{ packageFor }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkIf
    mkMerge
    mkOption
    types
    ;

  program = config.programs.task-pipeline;
  cfg = config.services.task-pipeline;
  common = import ./common.nix { inherit lib pkgs; };
  launchd = import ./launchd.nix { inherit lib; };
  inherit (pkgs.stdenv.hostPlatform) isLinux isDarwin;
  stateDir = name: "${config.xdg.stateHome}/task-pipeline/${name}";
  enabled = lib.filterAttrs (_: pipeline: cfg.enable && pipeline.enable) cfg.pipelines;
  option = "services.task-pipeline.pipelines";

  service =
    name: pipeline:
    let
      folder = common.manifestFolder cfg.package option name pipeline;
      work = "${stateDir name}/work";
      gc = common.gcScript cfg.package folder pipeline work;
    in
    {
      Unit = {
        Description = "Pipeline ${name}";
        Documentation = [ "man:task-pipeline(1)" ];
        # home-manager neither starts a run nor breaks off the one that is under way.
        X-SwitchMethod = "keep-old";
      }
      // lib.optionalAttrs (pipeline.onFailure != [ ]) { OnFailure = pipeline.onFailure; };
      Service = {
        Type = "oneshot";
        ExecStart = "${common.runScript cfg.package option folder name pipeline work}";
        # `install` and the tools of steps without packages; nix where the user has it.
        Environment = [
          "PATH=${config.home.profileDirectory}/bin:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:${
            lib.makeBinPath [ pkgs.coreutils ]
          }:/usr/bin:/bin"
        ];
        # What a user's systemd can do without a namespace of its own, and what a Nix without a
        # daemon, whose builds are children of this unit, can do without.
        LockPersonality = true;
        NoNewPrivileges = true;
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
          "AF_INET6"
          "AF_NETLINK"
        ];
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        UMask = "0077";
        KillMode = "mixed";
        TimeoutStopSec = common.stopTime pipeline;
        # Stopped in order; and a script killed for its memory is a failed task.
        SuccessExitStatus = 143;
        OOMPolicy = "continue";
        SyslogIdentifier = "task-pipeline-${name}";
      }
      // lib.optionalAttrs pipeline.enforceMemory { Delegate = "memory"; }
      // lib.optionalAttrs (gc != null && !common.gcAlone pipeline) { ExecStartPost = "-${gc}"; }
      // common.secrets pipeline
      // pipeline.serviceConfig;
    };

  # What is not to be kept goes: the same service, with another command and without secrets.
  gcService =
    name: pipeline:
    let
      run = service name pipeline;
      folder = common.manifestFolder cfg.package option name pipeline;
      other = [
        "ExecStartPost"
        "LoadCredential"
        "LoadCredentialEncrypted"
      ]
      # Values in `keep` are a part of the version whose results may go.
      ++ lib.optional (pipeline.evict.maxSize == null) "EnvironmentFile";
    in
    run
    // {
      Unit = run.Unit // {
        Description = "Room in the db of the pipeline ${name}";
      };
      Service =
        removeAttrs run.Service other
        // common.gcRetry
        // {
          ExecStart = "${common.gcScript cfg.package folder pipeline "${stateDir name}/work"}";
          SyslogIdentifier = "task-pipeline-${name}-gc";
        }
        // pipeline.serviceConfig;
    };

  gcTimer = name: pipeline: {
    Unit.Description = "Schedule of room in the db of the pipeline ${name}";
    Timer = {
      OnCalendar = pipeline.gc.schedule;
      Persistent = pipeline.persistent;
      Unit = "task-pipeline-${name}-gc.service";
    };
    Install.WantedBy = [ "timers.target" ];
  };

  timer = name: pipeline: {
    Unit.Description = "Schedule of the pipeline ${name}";
    Timer = {
      OnCalendar = pipeline.schedule;
      Persistent = pipeline.persistent;
      Unit = "task-pipeline-${name}.service";
    }
    // pipeline.timerConfig;
    Install.WantedBy = [ "timers.target" ];
  };

  # On macOS: the run, and after it what is not to be kept goes, as one job.
  agent =
    name: pipeline:
    let
      folder = common.manifestFolder cfg.package option name pipeline;
      work = "${stateDir name}/work";
      gc = common.gcScript cfg.package folder pipeline work;
      run = common.runScript cfg.package option folder name pipeline work;
      log = "${config.home.homeDirectory}/Library/Logs/task-pipeline-${name}.log";
    in
    {
      enable = true;
      config = {
        ProgramArguments = [
          "${pkgs.writeShellScript "task-pipeline-agent" ''
            ${run} || exit
            ${lib.optionalString (gc != null) "${gc} || true"}
          ''}"
        ];
        StartCalendarInterval =
          if pipeline.schedule == null then null else launchd.intervals pipeline.schedule;
        ProcessType = "Background";
        ExitTimeOut = pipeline.grace + 55;
        StandardOutPath = log;
        StandardErrorPath = log;
        EnvironmentVariables.PATH = "${config.home.profileDirectory}/bin:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:${
          lib.makeBinPath [ pkgs.coreutils ]
        }:/usr/bin:/bin:/usr/sbin:/sbin";
      };
    };

  units = lib.mapAttrs' (name: value: lib.nameValuePair "task-pipeline-${name}" value);
  gcUnits = lib.mapAttrs' (name: value: lib.nameValuePair "task-pipeline-${name}-gc" value);
  gcAlone = lib.filterAttrs (_: common.gcAlone) enabled;
in
{
  options = {
    programs.task-pipeline = {
      enable = lib.mkEnableOption "task-pipeline, a pipeline runner";
      package = lib.mkPackageOption { task-pipeline = packageFor pkgs; } "task-pipeline" {
        pkgsText = "task-pipeline.packages.\${system}";
      };
    };
    services.task-pipeline = {
      enable = lib.mkEnableOption "pipelines run by task-pipeline";
      package = mkOption {
        type = types.package;
        default = program.package;
        defaultText = lib.literalExpression "config.programs.task-pipeline.package";
        description = "The task-pipeline package to use.";
      };
      pipelines = mkOption {
        type = types.attrsOf (
          types.submodule (
            common.pipelineOptions {
              inherit stateDir;
              stateDirText = "\${config.xdg.stateHome}/task-pipeline/<name>";
            }
          )
        );
        default = { };
        description = "The pipelines; each is a user service `task-pipeline-<name>`, or on macOS a launchd agent.";
      };
    };
  };

  config = mkMerge [
    (mkIf program.enable { home.packages = [ program.package ]; })
    (mkIf (cfg.enable && enabled != { }) {
      assertions = lib.concatLists (
        lib.mapAttrsToList (common.assertions option enabled) enabled
        ++ lib.optionals isDarwin (lib.mapAttrsToList (launchd.assertions option) enabled)
        ++ lib.optional (lib ? hm) [
          (lib.hm.assertions.assertPlatform "services.task-pipeline" pkgs (
            lib.platforms.linux ++ lib.platforms.darwin
          ))
        ]
      );
    })
    (mkIf (cfg.enable && isDarwin) {
      launchd.agents = units (lib.mapAttrs agent enabled);
    })
    (mkIf (cfg.enable && isLinux) {
      systemd.user.services =
        units (lib.mapAttrs service enabled) // gcUnits (lib.mapAttrs gcService gcAlone);
      systemd.user.timers =
        units (lib.mapAttrs timer (lib.filterAttrs (_: p: p.schedule != null) enabled))
        // gcUnits (lib.mapAttrs gcTimer gcAlone);
    })
  ];
}
