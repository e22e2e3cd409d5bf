# The options of `mkPipeline`: a manifest in Nix, its types checked by the module system.
{ lib, ... }:
let
  inherit (lib) mkOption types;

  optional =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  # A value of a parameter.
  value = types.oneOf [
    types.bool
    types.int
    types.float
    types.str
  ];

  common = {
    packages = mkOption {
      type = types.nullOr (types.listOf (types.either types.package types.str));
      default = null;
      example = lib.literalExpression ''[ pkgs.curl "jq" ]'';
      description = ''
        What is on the PATH of the script: packages, or names that are looked up in nixpkgs when
        the pipeline is evaluated.
      '';
    };
    env = mkOption {
      type = types.attrsOf (
        types.oneOf [
          types.str
          types.int
          types.path
          types.package
        ]
      );
      default = { };
      description = "Environment variables of the script.";
    };
    shell = optional (types.listOf types.str) "The words that the script is handed to; `sh -e -c` unless set.";
    files = optional (types.listOf types.str) "Files that the script reads or calls, by patterns below the folder of the pipeline.";
    pure = optional types.bool "Whether the script sees only its packages and variables.";
    keep = optional (types.listOf types.str) "Variables of the host whose values are a part of the version, and that a pure script sees nevertheless.";
    params = optional (types.listOf types.str) "Parameters that the script gets though nothing of the step mentions them.";
    secrets = optional (types.listOf types.str) "Secrets that the run is given for the script (`-secret`): `$SECRET_NAME` is the path of a file with one.";
    outputs = optional (types.listOf types.str) "Patterns of the names that the script leaves, all of them; one that ends in `?` may be missing.";
    folders = optional types.bool "Whether a folder that the script leaves is an output, with all that is in it.";
    parallel = optional types.ints.positive "Most tasks at once.";
    cpus = optional types.ints.positive "CPUs that each task takes of those of the run; `$CPUS` in its script.";
    memory = optional types.str "Memory that each task takes, as `2G`; `2G..16G` for one that is tried again with twice as much when that was not enough.";
    gpus = optional types.ints.unsigned "GPUs that each task takes, for itself alone.";
    uses = optional (types.attrsOf types.ints.positive) "What each task takes of what `limits` names.";
    timeout = optional types.str "Time limit of a task, as `90s`, `10m`, `2h`.";
    retries = optional (types.either types.ints.unsigned (types.attrsOf types.anything)) "How often a failed task is tried again within a run: a number, or `count` with `delay`, `backoff`, `jitter` and `max` of the pauses.";
    retry_delay = optional types.str "Pause before the first of these tries, twice as long before each further one; `1s` unless set.";
    rounds = optional types.ints.positive "How often the step may occur in one line of descent.";
    gather = optional (types.either types.bool types.str) "Whether one task works on all that comes to the step in a runset (`true`), on all that has the same key (`name`), or on what descends from each task of a step (its name).";
    from = optional (types.listOf types.str) "Outputs of other steps that this one takes, wherever they are routed: `count`, or `stats:*.tsv` for those with such names.";
    "with" =
      optional (types.listOf types.str) "Steps whose outputs, all of a runset, each task gets besides its input, in `$WITH_DIR`; it waits for them.";
    each = optional types.bool "With one step in `with`: whether there is a task for each of that step's outputs, which it gets alone, in `$WITH_FILE`.";
    partial = optional types.bool "For a step that gathers: whether it does so although a task before it failed for good.";
    empty = optional types.bool "For a step that gathers, not by key: whether it runs although nothing came to it.";
    sandbox = optional types.bool "Whether the script runs in a sandbox (Linux): it sees its packages, input and files, and nothing else of the machine.";
    network = optional types.bool "With `sandbox`: whether the script has the network.";
    executor = optional types.str "Who carries out the step's tasks: one of `executors`, or `local`.";
    publish = optional (types.either types.bool types.str) "What final outputs are called in the folder of results: a path of `{key}`, `{name}` and `{step}`, or `false`.";
    checkpoint = optional (types.either types.bool types.str) "Whether each task has a folder, `$STATE_DIR`, that is kept from try to try until it succeeds: `true`, `false`, or how often it is kept, besides, while a try goes on on another machine, as `10m`.";

    executor_secrets = optional types.bool "Whether the step's secrets pass to the executor's machines, too, where the way there may not be encrypted (`slurm`, `start`).";
    share = optional types.bool "Whether results are shared with others by a cache; by default those of pure steps, and of those in a sandbox, that have packages and no secrets.";
    warm = optional types.bool "Whether one shell runs many tasks, each in a subshell; by default where the script cannot tell.";
    cache = optional (types.either types.bool types.str) "Whether a task that was done before on the same input is reused: `true`, `false`, up to an age as `12h`, or `runset` for in its runset alone.";
  };
in
{
  options = {
    name = mkOption {
      type = types.strMatching "[a-zA-Z0-9][a-zA-Z0-9._-]*";
      description = "Name of the pipeline: of its package and of its program.";
    };

    steps = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = common // {
            start = mkOption {
              type = types.bool;
              default = false;
              description = "Whether the pipeline starts here. Exactly one step does, or none where there are inputs.";
            };
            script = mkOption {
              type = types.lines;
              description = "What the step does: reads `$INPUT_FILE`, writes files into `$OUTPUT_DIR`.";
            };
          };
        }
      );
      default = { };
      description = "The steps, by name.";
    };

    inputs = mkOption {
      type = types.listOf (
        types.submodule {
          options = {
            files = optional (types.either types.str (types.listOf types.str)) "Files, by globs below the folder of the pipeline; each is an input of its own.";
            rows = optional types.str "A .csv, .tsv or .jsonl file below that folder; each row is an input of its own.";
            paths = optional (types.listOf types.str) "Columns of the sheet that name files, from its folder on; the script finds these in `$INPUT_DIR`, under the columns' names.";
            lines = optional types.str "A command that each run starts; each line that it writes is an input of its own.";
            packages = optional (types.listOf (types.either types.package types.str)) "What is on the PATH of that command, before the host's.";
            step = optional (types.either types.str (types.listOf types.str)) "The step that takes them, or several that each take all of them; without it their names route them, as those of outputs do.";
            name = optional types.str "The file names of rows, with columns in braces: `{sample}`.";
            copy = optional types.bool "Whether the files that it names are copied into the db; if not, scripts get a link to the file where it lies.";
            empty = optional types.bool "Whether it may have nothing, and results go that came of what it had.";
          };
        }
      );
      default = [ ];
      description = "What comes in from outside. With inputs, no step has to be the start step.";
    };

    params = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            type = mkOption {
              type = types.enum [
                "string"
                "int"
                "float"
                "bool"
              ];
              description = "What it takes.";
            };
            default = optional value "What it is where nobody gives it; without it somebody has to.";
            help = optional types.str "What it is for.";
            values = optional (types.listOf value) "All that it can be.";
            min = optional (types.either types.int types.float) "The least that it can be.";
            max = optional (types.either types.int types.float) "The most that it can be.";
            volatile = optional types.bool "Whether it is no part of versions: another value has nothing done again.";
          };
        }
      );
      default = { };
      description = "What the pipeline can be given with `-param`, and scripts read as `$PARAM_NAME`.";
    };

    store = mkOption {
      type = types.submodule {
        options = {
          keep_runsets = optional types.ints.positive "How many runsets stay, those that ran last, once a run has ended with success.";
          keep =
            optional
              (types.enum [
                "all"
                "finals"
              ])
              "Whose bytes stay once a run has ended with success: those of all, or of final outputs and of what cannot be made again.";
        };
      };
      default = { };
      description = "What of the db stays.";
    };

    cache = mkOption {
      type = types.submodule {
        options = {
          urls = optional (types.listOf types.str) "Where results of others lie: `file:///FOLDER`, `s3://BUCKET/PREFIX` or `https://HOST/PATH`.";
        };
      };
      default = { };
      description = "Results that are shared with others.";
    };

    publish = mkOption {
      type = types.submodule {
        options = {
          dir = optional types.str "The folder in which the final outputs stand as files after each run.";
        };
      };
      default = { };
      description = "Results as files.";
    };

    limits = mkOption {
      type = types.attrsOf types.ints.positive;
      default = { };
      example = {
        database = 2;
      };
      description = "How much there is, for all tasks that run at a time, of what steps name in `uses`.";
    };

    executors = mkOption {
      type = types.attrsOf (types.attrsOf types.anything);
      default = { };
      example = {
        cluster = {
          slurm = [
            "-p"
            "batch"
          ];
          workers = 10;
        };
      };
      description = "Who carries out tasks of steps on other machines, by name: what `[executors.NAME]` can have.";
    };

    defaults = mkOption {
      type = types.submodule { options = common; };
      default = { };
      description = "What holds for every step that does not say otherwise.";
    };

    strict = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether a run is refused whose scripts read what their versions do not know of: files that
        `files` does not name, variables of the host that `keep` does not.
      '';
    };

    src = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = ''
        A folder of files that the scripts read. They run in its copy in the Nix store; without
        it, in the folder in which the program is started.
      '';
    };
  };
}
