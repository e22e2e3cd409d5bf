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

  # A path in a list of paths of a unit.
  unitPath =
    path:
    let
      text = lib.replaceStrings [ "%" ] [ "%%" ] (toString path);
    in
    if builtins.match "[^[:space:]\"'\\\\]*" text != null then text else builtins.toJSON text;

  # A user a pipeline: those of one user could read each other's state and signal each other. A
  # user's name has at most 31 characters.
  account =
    name:
    if lib.stringLength name <= 17 then
      "task-pipeline-${name}"
    else
      "task-pipeline-${lib.substring 0 8 name}-${lib.substring 0 8 (builtins.hashString "sha256" name)}";

  accountOptions =
    { name, ... }:
    let
      option =
        what:
        mkOption {
          type = types.nonEmptyStr;
          default = account name;
          defaultText = lib.literalExpression ''"task-pipeline-<name>"'';
          description = ''
            ${what} that the pipeline runs as; created by this module if left at its default. Pipelines
            that share one can read each other's state and send each other signals.
          '';
        };
    in
    {
      options = {
        user = option "User";
        group = option "Group";
      };
    };

  # Every one of these can be set otherwise with `serviceConfig`.
  hardening = lib.mapAttrs (_: mkDefault) {
    AmbientCapabilities = "";
    CapabilityBoundingSet = "";
    DevicePolicy = "closed";
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
    SystemCallArchitectures = "native";
    # A script that tries more gets an error, which it can tell, not a signal. `cp -a` and `install`
    # try to change owners.
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [
      "@system-service"
      "~@privileged"
      "@chown"
    ];
    UMask = "0077";
  };

  service =
    name: pipeline:
    let
      home = stateDir name;
      folder = common.manifestFolder cfg.package option name pipeline;
      gc = common.gcScript cfg.package folder pipeline "${home}/work";
      ownDb = lib.hasPrefix "${home}/" (toString pipeline.db);
      places =
        lib.optional (!ownDb) (unitPath pipeline.db)
        ++ lib.optional (folder == null) (unitPath pipeline.manifest);
    in
    {
      description = "Pipeline ${name}";
      documentation = [ "man:task-pipeline(1)" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "nix-daemon.socket"
      ];
      unitConfig = mkIf (places != [ ]) { RequiresMountsFor = places; };
      inherit (pipeline) onFailure;
      # A rebuild neither starts a run nor breaks off the one that is under way.
      restartIfChanged = false;
      stopIfChanged = false;
      path = [
        config.nix.package
      ]
      ++ lib.optional (common.goesOut pipeline) "/run/current-system/sw";
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
          ExecStart = "${common.runScript cfg.package option folder name pipeline "${home}/work"}";
          User = pipeline.user;
          Group = pipeline.group;
          StateDirectory = "task-pipeline/${name}";
          StateDirectoryMode = mkDefault "0750";
          WorkingDirectory = home;
          # The program is told first: it ends its tasks and records where it stopped.
          KillMode = mkDefault "mixed";
          TimeoutStopSec = mkDefault (common.stopTime pipeline);
          # What it exits with after that: stopped in order, to go on another time.
          SuccessExitStatus = mkDefault 143;
          # A script killed for its memory is a failed task; the others go on.
          OOMPolicy = mkDefault "continue";
          SyslogIdentifier = mkDefault "task-pipeline-${name}";
        }
        (mkIf (gc != null && !common.gcAlone pipeline) { ExecStartPost = "-${gc}"; })
        (mkIf pipeline.enforceMemory {
          Delegate = "memory";
          # Its own group alone is its user's.
          ProtectControlGroups = lib.mkOverride 95 false;
        })
        (mkIf (!ownDb) { ReadWritePaths = [ (unitPath pipeline.db) ]; })
        (common.secrets pipeline)
        (lib.mapAttrs (_: lib.mkOverride 90) pipeline.serviceConfig)
      ];
    };

  # What is not to be kept goes: the same service, with another command.
  gcService =
    name: pipeline:
    let
      run = service name pipeline;
      folder = common.manifestFolder cfg.package option name pipeline;
    in
    {
      inherit (run)
        unitConfig
        onFailure
        environment
        path
        ;
      description = "Room in the db of the pipeline ${name}";
      documentation = [ "man:task-pipeline(1)" ];
      restartIfChanged = false;
      stopIfChanged = false;
      serviceConfig = mkMerge [
        hardening
        {
          Type = "oneshot";
          ExecStart = "${common.gcScript cfg.package folder pipeline "${stateDir name}/work"}";
          User = pipeline.user;
          Group = pipeline.group;
          StateDirectory = "task-pipeline/${name}";
          StateDirectoryMode = mkDefault "0750";
          WorkingDirectory = stateDir name;
          SyslogIdentifier = mkDefault "task-pipeline-${name}-gc";
        }
        common.gcRetry
        (mkIf (!lib.hasPrefix "${stateDir name}/" (toString pipeline.db)) {
          ReadWritePaths = [ (unitPath pipeline.db) ];
        })
        # Values in `keep` are a part of the version whose results may go.
        (mkIf (pipeline.evict.maxSize != null && pipeline.environmentFile != null) {
          EnvironmentFile = [ (toString pipeline.environmentFile) ];
        })
        (lib.mapAttrs (_: lib.mkOverride 90) pipeline.serviceConfig)
      ];
    };

  gcTimer = name: pipeline: {
    description = "Schedule of room in the db of the pipeline ${name}";
    wantedBy = [ "timers.target" ];
    timerConfig = {
      OnCalendar = pipeline.gc.schedule;
      Persistent = pipeline.persistent;
      Unit = "task-pipeline-${name}-gc.service";
    };
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

  # Paths that exist on the machine and that the service cannot see: they would fail at run time.
  hidden =
    name: pipeline:
    let
      hiding = lib.concatLists (
        lib.mapAttrsToList
          (
            setting: folders:
            lib.optionals (builtins.elem (pipeline.serviceConfig.${setting} or true) [
              true
              "true"
              "yes"
              "on"
              "tmpfs"
              "disconnected"
            ]) (map (folder: { inherit setting folder; }) folders)
          )
          {
            ProtectHome = [
              "/home"
              "/root"
              "/run/user"
            ];
            PrivateTmp = [
              "/tmp"
              "/var/tmp"
            ];
          }
      );
      seen = {
        ProtectHome = ''"read-only"'';
        PrivateTmp = "false";
      };
      check =
        what: path:
        map (
          { setting, folder }:
          {
            assertion = path != folder && !(lib.hasPrefix "${folder}/" path);
            message = "${option}.${builtins.toJSON name}: `${what}` is ${path}, and the service cannot see ${folder} (${setting}): put it elsewhere, below /srv or /var/lib, or set `serviceConfig.${setting} = ${seen.${setting}};`.";
          }
        ) hiding;
    in
    check "db" (toString pipeline.db)
    ++ lib.optionals (pipeline.manifest != null && !(builtins.isPath pipeline.manifest)) (
      check "manifest" (toString pipeline.manifest)
    );

  units = lib.mapAttrs' (name: value: lib.nameValuePair "task-pipeline-${name}" value);
  gcUnits = lib.mapAttrs' (name: value: lib.nameValuePair "task-pipeline-${name}-gc" value);
  gcAlone = lib.filterAttrs (_: common.gcAlone) enabled;
  foreignDbs = lib.filterAttrs (
    name: pipeline: !(lib.hasPrefix "${stateDir name}/" (toString pipeline.db))
  ) enabled;
in
{
  options.services.task-pipeline = {
    enable = lib.mkEnableOption "pipelines run by task-pipeline";
    package = lib.mkPackageOption { task-pipeline = packageFor pkgs; } "task-pipeline" {
      pkgsText = "task-pipeline.packages.\${system}";
    };
    pipelines = mkOption {
      type = types.attrsOf (
        types.submodule [
          (common.pipelineOptions {
            inherit stateDir;
            stateDirText = "/var/lib/task-pipeline/<name>";
          })
          accountOptions
        ]
      );
      default = { };
      description = "The pipelines; each is a service `task-pipeline-<name>`.";
    };
  };

  config = mkIf cfg.enable {
    assertions = lib.concatLists (
      lib.mapAttrsToList (
        name: pipeline: common.assertions option enabled name pipeline ++ hidden name pipeline
      ) enabled
    );

    environment.systemPackages = [ cfg.package ];

    systemd.services = units (lib.mapAttrs service enabled) // gcUnits (lib.mapAttrs gcService gcAlone);
    systemd.timers =
      units (lib.mapAttrs timer (lib.filterAttrs (_: p: p.schedule != null) enabled))
      // gcUnits (lib.mapAttrs gcTimer gcAlone);
    systemd.tmpfiles.settings = lib.mapAttrs' (
      name: pipeline:
      lib.nameValuePair "10-task-pipeline-${name}" {
        ${toString pipeline.db}.d = {
          mode = "0750";
          inherit (pipeline) user group;
        };
      }
    ) foreignDbs;

    users = mkMerge (
      lib.mapAttrsToList (
        name: pipeline:
        mkMerge [
          (mkIf (pipeline.user == account name) {
            users.${account name} = {
              isSystemUser = true;
              inherit (pipeline) group;
            };
          })
          (mkIf (pipeline.group == account name) { groups.${account name} = { }; })
        ]
      ) enabled
    );
  };
}
