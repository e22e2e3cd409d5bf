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
      description = "The steps; if there are several definitions, their steps come one after the other.";
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
        `workflow.lock` beside it is taken along. A string such as
        `"/srv/pipeline/workflow.toml"` is used where it lies, unchecked; the service can
        read but not write there, so the lock file has to exist already. If `src` is set, the
        default is the `workflow.toml` in it. Set exactly one of `manifest` and `settings`.
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
        derivations or strings. Without `settings.nix.nixpkgs`, a bare name is looked up in the
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
        `workflow.toml` unless `manifest` or `settings` is set. Scripts start in the folder's copy in
        the Nix store: changes to it take effect with the next configuration.
      '';
    };

    db = mkOption {
      type = types.externalPath;
      default = "${stateDir name}/db";
      defaultText = lib.literalExpression ''"${stateDirText}/db"'';
      description = "The folder of the pipeline's state and objects.";
    };

    schedule =
      calendar ''
        When the pipeline runs: one or several systemd calendar expressions (systemd.time(7)). Null:
        never by itself. Checked when the configuration is built.
      ''
      // {
        example = "daily";
      };

    persistent = mkOption {
      type = types.bool;
      default = true;
      description = "Whether a run that was missed, because the machine was off, is made up for at the next start.";
    };

    timerConfig = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      example = {
        RandomizedDelaySec = "1h";
      };
      description = "More settings of the timer (systemd.timer(5)); they take precedence over those above.";
    };

    fresh = mkOption {
      type = types.bool;
      default = config.schedule != null;
      defaultText = lib.literalExpression "schedule != null";
      description = ''
        Whether each run seeds a new runset. If not, a run carries on with the newest one, and has
        nothing to do once that is complete.
      '';
    };

    migrateTainted = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to run finished tasks again if their steps have changed since.";
    };

    executor = mkOption {
      type = types.nullOr types.singleLineStr;
      default = null;
      example = "cluster";
      description = ''
        Where the tasks of all steps run: one of the manifest's `executors`, `slurm`,
        `ssh:HOST,…`, or `local`. Null: as each step says.
      '';
    };

    parallel = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      description = "The most tasks to run at once. Null: the number of CPUs.";
    };

    cpus = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      description = "CPUs for tasks whose steps ask for `cpus`. Null: all that the service may use.";
    };

    memory = mkOption {
      type = types.nullOr types.singleLineStr;
      default = null;
      example = "64G";
      description = "Memory for tasks whose steps ask for `memory`. Null: all that the service may use.";
    };

    gpus = mkOption {
      type = types.nullOr (types.either types.ints.unsigned types.singleLineStr);
      default = null;
      example = "0,2";
      description = ''
        GPUs for tasks whose steps ask for `gpus`: how many, or which. Null: those that are found. The
        service has to be allowed to use their devices (`serviceConfig`).
      '';
    };

    limits = mkOption {
      type = types.attrsOf types.ints.positive;
      default = { };
      example = {
        database = 2;
      };
      description = "Values to use instead of those in the manifest's `limits`, by name.";
    };

    enforceMemory = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether a task that takes more memory than its step asks for is killed, and tried again with more if
        the step says so. For this, the service's control group is delegated to it (`Delegate`).
      '';
    };

    grace = mkOption {
      type = types.ints.positive;
      default = 5;
      description = ''
        How many seconds scripts have to end, when the service is stopped or their time is up, before
        they are killed. The service has another 55 seconds to record where it stopped
        (`TimeoutStopSec`).
      '';
    };

    locked = mkOption {
      type = types.bool;
      default = false;
      description = "Whether a run fails if the lock file is missing or stale.";
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
        Values of the manifest's parameters, checked when the configuration is built; null: not
        given. Everyone can read them in the Nix store.
      '';
    };

    gc = {
      keepRunsets = mkOption {
        type = types.nullOr types.ints.positive;
        default = null;
        example = 30;
        description = ''
          How many runsets to keep, counting from the one that ran last; the others are removed, with
          the objects that only they need. Null: all are kept.
        '';
      };
      olderThan = mkOption {
        type = types.nullOr types.singleLineStr;
        default = null;
        example = "30d";
        description = "From the runsets that stay, remove superseded tasks that ended longer ago than this.";
      };
      maxSize = mkOption {
        type = types.nullOr types.singleLineStr;
        default = null;
        example = "50G";
        description = "Remove as many of the oldest runsets as necessary for the objects to take no more space than this.";
      };
      schedule =
        calendar ''
          When to remove all this, in a separate service, `task-pipeline-<name>-gc`: one or several
          systemd calendar expressions (systemd.time(7)). If it is refused, for instance during a run, it
          is called again after ten minutes. Null: after each run that succeeded, if any of the other
          `gc` options or `evict.maxSize` is set.
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
        Drop as many bytes that can be made again as necessary for the objects to take no more space
        than this; done right after `gc`, and at the same times. Null: none.
      '';
    };

    environmentFile = mkOption {
      type = types.nullOr types.externalPath;
      default = null;
      example = "/run/secrets/pipeline.env";
      description = ''
        A file with environment variables for the service (systemd.exec(5)), outside the Nix
        store, because everyone can read that. Steps that read the variables name them in `keep`:
        then their values are part of the step's version, and even a `pure` step sees them.
      '';
    };

    credentials = mkOption {
      type = types.attrsOf types.externalPath;
      default = { };
      example = {
        token = "/run/secrets/api-token";
      };
      description = ''
        Files outside the store, by the names of the secrets that they are for steps that list these
        names in `secrets`; other scripts read them as `$CREDENTIALS_DIRECTORY/<name>`
        (systemd.exec(5), LoadCredential).
      '';
    };

    encryptedCredentials = mkOption {
      type = types.attrsOf types.path;
      default = { };
      example = lib.literalExpression "{ token = ./token.cred; }";
      description = ''
        Files like those in `credentials`, but encrypted with `systemd-creds encrypt --name=<name>` for
        the machine that runs the pipeline (systemd.exec(5), LoadCredentialEncrypted): such a file may be
        in the Nix store. User services need systemd 256 or newer for this.
      '';
    };

    onFailure = mkOption {
      type = types.listOf types.singleLineStr;
      default = [ ];
      example = [ "tell@%n.service" ];
      description = ''
        Units to start when the service fails, as it does after a run with a failed task
        (systemd.unit(5), OnFailure); `%n` is the name of the service.
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
      description = "Settings of the service (systemd.exec(5) and others); they take precedence over the module's.";
    };
  };
}
