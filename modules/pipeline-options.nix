# The options of a pipeline, for the NixOS and the home-manager module.
{ lib }:
let
  inherit (lib) mkOption types;

  # A manifest in Nix. Free in form: the program itself says what a step may hold.
  value =
    let
      one =
        types.nullOr (
          types.oneOf [
            types.bool
            types.int
            types.float
            types.str
            types.package
            types.path
            (types.listOf one)
            (types.attrsOf one)
          ]
        )
        // {
          description = "TOML value or package";
        };
    in
    one;
  # Nothing is asked of a step here: what lacks a name or a script is told by the program, with the
  # place and a guess, where the module system would tell of its own options.
  manifestType = types.submodule {
    freeformType = types.attrsOf value;
    options.step = mkOption {
      type = types.listOf (types.attrsOf value);
      default = [ ];
      description = "The steps; those of several definitions come one after the other.";
    };
  };

  calendar =
    description:
    mkOption {
      type = types.nullOr (types.either types.singleLineStr (types.listOf types.singleLineStr));
      default = null;
      inherit description;
    };
in
# stateDir: name → the folder that holds db and manifest, unless `db` is set
# stateDirText: the same in words, for the manual
{
  stateDir,
  stateDirText,
}:
{ name, config, ... }:
{
  options = {
    enable = lib.mkEnableOption "the pipeline" // {
      default = true;
    };

    manifest = mkOption {
      type = types.nullOr types.path;
      default =
        if config.src != null && config.settings == null then config.src + "/workflow.toml" else null;
      defaultText = lib.literalExpression ''"''${src}/workflow.toml" or null'';
      example = lib.literalExpression "./workflow.toml";
      description = ''
        The manifest. A Nix path is checked when the configuration is built, and a
        `workflow.lock` beside it is taken along; a string such as
        `"/srv/pipeline/workflow.toml"` is used where it lies, unchecked; the service can
        read it there, not write, so its lock file has to be there already. Where `src` is set it is
        the `workflow.toml` in there. Exactly one of `manifest` and `settings` is set.
      '';
    };

    settings = mkOption {
      type = types.nullOr manifestType;
      default = null;
      example = lib.literalExpression ''
        {
          step = [
            {
              name = "fetch";
              start = true;
              packages = [ pkgs.curl ];
              script = "curl -sSf https://example.org/list > \"$OUTPUT_DIR/sort\"";
            }
            {
              name = "sort";
              script = "sort \"$INPUT_FILE\" > \"$OUTPUT_DIR/sorted.txt\"";
            }
          ];
        }
      '';
      description = ''
        The manifest as Nix attributes, checked when the configuration is built. Packages are
        derivations or strings. Without `settings.nix.nixpkgs` a bare name is looked up in the
        nixpkgs of this configuration; any other string is left to the first run, which pins
        it in a `workflow.lock` beside the state.
      '';
    };

    src = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = lib.literalExpression "./.";
      description = ''
        A folder with the files that the pipeline names (`files`, `[[input]]`), and with its
        `workflow.toml` unless `manifest` or `settings` say otherwise. Its scripts start in its copy in
        the Nix store: what changes there comes with the next configuration.
      '';
    };

    db = mkOption {
      type = types.externalPath;
      default = "${stateDir name}/db";
      defaultText = lib.literalExpression ''"${stateDirText}/db"'';
      description = "Folder of the pipeline's state and objects.";
    };

    schedule =
      calendar ''
        When the pipeline runs, as a systemd calendar expression (systemd.time(7)), or as several;
        null for never by itself. Checked when the configuration is built.
      ''
      // {
        example = "daily";
      };

    persistent = mkOption {
      type = types.bool;
      default = true;
      description = "Whether a run that was missed is made up for at the next start.";
    };

    timerConfig = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      example = {
        RandomizedDelaySec = "1h";
      };
      description = "More settings of the timer (systemd.timer(5)); they win over those above.";
    };

    fresh = mkOption {
      type = types.bool;
      default = config.schedule != null;
      defaultText = lib.literalExpression "schedule != null";
      description = ''
        Whether each run seeds a new runset. Without it, a run goes on with the newest one and
        has nothing to do when that is complete.
      '';
    };

    migrateTainted = mkOption {
      type = types.bool;
      default = false;
      description = "Whether finished tasks of steps that have changed since are run again.";
    };

    executor = mkOption {
      type = types.nullOr types.singleLineStr;
      default = null;
      example = "cluster";
      description = ''
        Who carries out the tasks of all steps: one of the manifest's `executors`, `slurm`,
        `ssh:HOST,…`, or `local`. Null: as each step says.
      '';
    };

    parallel = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      description = "Most tasks at once; null for the number of processors.";
    };

    cpus = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      description = "Processors for tasks whose steps ask for `cpus`; null for all that the service may use.";
    };

    memory = mkOption {
      type = types.nullOr types.singleLineStr;
      default = null;
      example = "64G";
      description = "Memory for tasks whose steps ask for `memory`; null for all that the service may use.";
    };

    gpus = mkOption {
      type = types.nullOr (types.either types.ints.unsigned types.singleLineStr);
      default = null;
      example = "0,2";
      description = ''
        GPUs for tasks whose steps ask for `gpus`: how many, or which; null for those that are found. The
        service has to be allowed to use their devices (`serviceConfig`).
      '';
    };

    limits = mkOption {
      type = types.attrsOf types.ints.positive;
      default = { };
      example = {
        database = 2;
      };
      description = "Other limits than those in the manifest's `limits`, by name.";
    };

    enforceMemory = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether a task that takes more memory than its step asks for is killed, and tried again with more if
        the step says so. The control group of the service is delegated to it for that (`Delegate`).
      '';
    };

    grace = mkOption {
      type = types.ints.positive;
      default = 5;
      description = ''
        Seconds that scripts have to end when the service is stopped or their time is over, before
        they are killed. The service has 55 seconds more to record where it stopped
        (`TimeoutStopSec`).
      '';
    };

    locked = mkOption {
      type = types.bool;
      default = false;
      description = "Whether a run fails where the lock file is missing or stale.";
    };

    params = mkOption {
      type = types.attrsOf (
        types.nullOr (
          types.oneOf [
            types.bool
            types.int
            types.float
            types.str
          ]
        )
      );
      default = { };
      example = {
        threshold = 0.7;
      };
      description = ''
        Values of the manifest's parameters, checked when the configuration is built; null is what
        is not given. Everyone can read them in the Nix store.
      '';
    };

    gc = {
      keepRunsets = mkOption {
        type = types.nullOr types.ints.positive;
        default = null;
        example = 30;
        description = ''
          How many runsets stay, those that ran last; with the others go the objects that they alone
          need. Null: all.
        '';
      };
      olderThan = mkOption {
        type = types.nullOr types.singleLineStr;
        default = null;
        example = "30d";
        description = "Of the runsets that stay, superseded tasks go that ended longer ago than that.";
      };
      maxSize = mkOption {
        type = types.nullOr types.singleLineStr;
        default = null;
        example = "50G";
        description = "As many of the oldest runsets go as it takes for the objects to take no more room than that.";
      };
      schedule =
        calendar ''
          When that is done, as a systemd calendar expression (systemd.time(7)) or as several, by a
          service of its own, `task-pipeline-<name>-gc`; null for after each run that has ended with
          success, if any of the others or `evict.maxSize` is set. Where it is refused, as beside a run,
          it is called again after ten minutes.
        ''
        // {
          example = "weekly";
        };
    };

    evict.maxSize = mkOption {
      type = types.nullOr types.singleLineStr;
      default = null;
      example = "50G";
      description = ''
        After what `gc` removes, and at the same time: as many bytes that can be made again go as it
        takes for the objects to take no more room than that. Null: none.
      '';
    };

    environmentFile = mkOption {
      type = types.nullOr types.externalPath;
      default = null;
      example = "/run/secrets/pipeline.env";
      description = ''
        A file with environment variables of the service (systemd.exec(5)), outside the Nix
        store, which everyone can read. Steps that read them name them in `keep`: a `pure` one
        sees no others, and of each the values in `keep` are a part of the version.
      '';
    };

    credentials = mkOption {
      type = types.attrsOf types.externalPath;
      default = { };
      example = {
        token = "/run/secrets/api-token";
      };
      description = ''
        Files outside the store that are the secrets of those names for the steps that list them in
        `secrets`; other scripts read them as `$CREDENTIALS_DIRECTORY/<name>` (systemd.exec(5),
        LoadCredential).
      '';
    };

    encryptedCredentials = mkOption {
      type = types.attrsOf types.path;
      default = { };
      example = lib.literalExpression "{ token = ./token.cred; }";
      description = ''
        Files as those of `credentials`, encrypted by `systemd-creds encrypt --name=<name>` for the machine
        that runs the pipeline (systemd.exec(5), LoadCredentialEncrypted): such a file may lie in the Nix
        store. Services of users have them since systemd 256.
      '';
    };

    onFailure = mkOption {
      type = types.listOf types.singleLineStr;
      default = [ ];
      example = [ "tell@%n.service" ];
      description = ''
        Units that are started when the service fails, as it does after a run with a failed task
        (systemd.unit(5), OnFailure); `%n` is its name.
      '';
    };

    extraArgs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "-fail-fast" ];
      description = "More arguments for `task-pipeline -run`, checked when the configuration is built.";
    };

    serviceConfig = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      example = {
        MemoryMax = "4G";
      };
      description = "Settings of the service (systemd.exec(5) and others); they win over the module's.";
    };
  };
}
