# `services.task-pipeline`: pipelines as oneshot services with timers.
{ packageFor }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkDefault
    mkIf
    mkMerge
    mkOption
    types
    ;

  cfg = config.services.task-pipeline;
  common = import ./common.nix { inherit lib pkgs; };
  stateDir = name: "/var/lib/task-pipeline/${name}";
  enabled = lib.filterAttrs (_: pipeline: cfg.enable && pipeline.enable) cfg.pipelines;
  option = "services.task-pipeline.pipelines";

  accountOptions = {
    user = mkOption {
      type = types.nonEmptyStr;
      default = "task-pipeline";
      description = "User that the pipeline runs as; made by this module if left at its default.";
    };
    group = mkOption {
      type = types.nonEmptyStr;
      default = "task-pipeline";
      description = "Group that the pipeline runs as; made by this module if left at its default.";
    };
  };

  # Every one of these can be set otherwise with `serviceConfig`.
  hardening = lib.mapAttrs (_: mkDefault) {
    AmbientCapabilities = "";
    CapabilityBoundingSet = "";
    LockPersonality = true;
    NoNewPrivileges = true;
    PrivateDevices = true;
    PrivateMounts = true;
    PrivateTmp = true;
    PrivateUsers = true;
    ProcSubset = "all";
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHome = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectProc = "invisible";
    ProtectSystem = "strict";
    RemoveIPC = true;
    RestrictAddressFamilies = [
      "AF_UNIX"
      "AF_INET"
      "AF_INET6"
      "AF_NETLINK"
    ];
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    UMask = "0066";
  };

  service =
    name: pipeline:
    let
      home = stateDir name;
      folder = common.manifestFolder cfg.package option name pipeline;
      ownDb = lib.hasPrefix "${home}/" (toString pipeline.db);
    in
    {
      description = "Pipeline ${name}";
      documentation = [ "man:task-pipeline(1)" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "nix-daemon.socket"
      ];
      # A rebuild neither starts a run nor breaks off the one that is under way.
      restartIfChanged = false;
      stopIfChanged = false;
      path = [ config.nix.package ];
      # Environments are built by the daemon, which registers their GC roots too: nothing under
      # /nix has to be writable.
      environment = {
        NIX_REMOTE = "daemon";
        HOME = home;
        XDG_CACHE_HOME = "${home}/.cache";
      };
      serviceConfig = mkMerge [
        hardening
        {
          Type = "oneshot";
          ExecStart = "${common.runScript cfg.package folder pipeline "${home}/work"}";
          User = pipeline.user;
          Group = pipeline.group;
          StateDirectory = "task-pipeline/${name}";
          StateDirectoryMode = mkDefault "0750";
          WorkingDirectory = home;
          # The program is told first: it ends its tasks and records where it stopped.
          KillMode = mkDefault "mixed";
          TimeoutStopSec = mkDefault "60s";
          SyslogIdentifier = mkDefault "task-pipeline-${name}";
        }
        (mkIf (!ownDb) { ReadWritePaths = [ (toString pipeline.db) ]; })
        (mkIf (pipeline.environmentFile != null) {
          EnvironmentFile = [ (toString pipeline.environmentFile) ];
        })
        (mkIf (pipeline.credentials != { }) {
          LoadCredential = lib.mapAttrsToList (id: file: "${id}:${toString file}") pipeline.credentials;
        })
        (lib.mapAttrs (_: lib.mkOverride 90) pipeline.serviceConfig)
      ];
    };

  timer = name: pipeline: {
    description = "Schedule of the pipeline ${name}";
    wantedBy = [ "timers.target" ];
    timerConfig = {
      OnCalendar = pipeline.schedule;
      Persistent = pipeline.persistent;
      Unit = "task-pipeline-${name}.service";
    }
    // pipeline.timerConfig;
  };

  units = lib.mapAttrs' (name: value: lib.nameValuePair "task-pipeline-${name}" value);
  foreignDbs = lib.filterAttrs (
    name: pipeline: !(lib.hasPrefix "${stateDir name}/" (toString pipeline.db))
  ) enabled;
in
{
  options.services.task-pipeline = {
    enable = lib.mkEnableOption "pipelines run by task-pipeline";
    package = mkOption {
      type = types.package;
      default = packageFor pkgs;
      defaultText = lib.literalExpression "task-pipeline.packages.\${system}.default";
      description = "The task-pipeline package to use.";
    };
    pipelines = mkOption {
      type = types.attrsOf (
        types.submodule [
          (common.pipelineOptions {
            inherit stateDir;
            stateDirText = "/var/lib/task-pipeline/<name>";
          })
          { options = accountOptions; }
        ]
      );
      default = { };
      description = "The pipelines, each a service `task-pipeline-<name>`.";
    };
  };

  config = mkIf cfg.enable {
    assertions = lib.concatLists (lib.mapAttrsToList (common.assertions option) enabled);

    environment.systemPackages = [ cfg.package ];

    systemd.services = units (lib.mapAttrs service enabled);
    systemd.timers = units (lib.mapAttrs timer (lib.filterAttrs (_: p: p.schedule != null) enabled));
    systemd.tmpfiles.rules = lib.mapAttrsToList (
      _: pipeline: "d ${builtins.toJSON (toString pipeline.db)} 0750 ${pipeline.user} ${pipeline.group} -"
    ) foreignDbs;

    users = mkMerge (
      lib.mapAttrsToList (
        _: pipeline:
        mkMerge [
          (mkIf (pipeline.user == "task-pipeline") {
            users.task-pipeline = {
              isSystemUser = true;
              group = mkDefault "task-pipeline";
            };
            groups.task-pipeline = { };
          })
          (mkIf (pipeline.group == "task-pipeline") { groups.task-pipeline = { }; })
        ]
      ) enabled
    );
  };
}
