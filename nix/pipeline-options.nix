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
        Packages whose programs the script can call, or names that are looked up in nixpkgs when
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
      description = "Environment variables for the script.";
    };
    shell = optional (types.listOf types.str) "The program that runs the script, with the arguments before it; `sh -e -c` by default.";
    files = optional (types.listOf types.str) "Files that the script reads or calls: patterns for paths below the folder of the pipeline.";
    pure = optional types.bool "Whether the script sees only its packages and variables.";
    keep = optional (types.listOf types.str) "Host variables that the script reads: their values are part of the version, and even a pure step sees them.";
    params = optional (types.listOf types.str) "Parameters that the script gets although nothing in the step mentions them.";
    secrets = optional (types.listOf types.str) "Secrets that the script gets from the run (`-secret`): `$SECRET_NAME` is the path of a file with the secret.";
    outputs = optional (types.listOf types.str) "Patterns for the names that the script leaves, all of them; what matches a pattern that ends in `?` may be missing.";
    folders = optional types.bool "Whether a folder that the script leaves is an output, with everything in it.";
    parallel = optional types.ints.positive "The most tasks of the step to run at once.";
    cpus = optional types.ints.positive "How many of the run's CPUs each task takes; its script finds the number in `$CPUS`.";
    memory = optional types.str "How much memory each task takes: `2G`, or `2G..16G` to retry with twice as much whenever it was not enough.";
    gpus = optional types.ints.unsigned "GPUs that each task has to itself.";
    uses = optional (types.attrsOf types.ints.positive) "What each task takes of what `limits` names.";
    timeout = optional types.str "The longest that one try of a task may take, such as `90s`, `10m` or `2h`.";
    retries = optional (types.either types.ints.unsigned (types.attrsOf types.anything)) "How many more tries a failed task gets: a number, or `count` and, for the pauses, `delay`, `backoff`, `jitter` and `max`.";
    retry_delay = optional types.str "The pause before the first of these tries; each further one is twice as long. `1s` by default.";
    rounds = optional types.ints.positive "How often the step may occur in one line of descent.";
    gather = optional (types.either types.bool types.str) "Whether one task works on many inputs at once: on everything in a runset that comes to the step (`true`), on everything with the same key (`name`), or on everything that descends from one task of another step (the name of that step).";
    from = optional (types.listOf types.str) "Outputs of other steps that this one takes, wherever they are routed: all of them (`count`), or those whose names match (`stats:*.tsv`).";
    "with" =
      optional (types.listOf types.str) "Steps whose outputs in the runset, all of them, each task gets in `$WITH_DIR` in addition to its input; it waits for them.";
    each = optional types.bool "With one step in `with`: whether there is a task for each pair of an input and an output of that step; it gets that output in `$WITH_FILE`, and no others.";
    partial = optional types.bool "With `gather`: whether to work on what there is even if a task before it failed for good.";
    empty = optional types.bool "With `gather`, except by key: whether to run even if nothing came to the step.";
    sandbox = optional types.bool "Whether the script runs in a sandbox (Linux): it sees its packages, input and files, and nothing else of the machine.";
    network = optional types.bool "With `sandbox`: whether the script has network access.";
    executor = optional types.str "Where the step's tasks run: one of `executors`, or `local`.";
    publish = optional (types.either types.bool types.str) "What final outputs are called in the folder of results: a path made of `{key}`, `{name}` and `{step}`; `false` keeps them out.";
    checkpoint = optional (types.either types.bool types.str) "Whether each task has a folder, `$STATE_DIR`, that it keeps from try to try until it succeeds: `true`, `false`, or how often to save it while a try is running on another machine, too, such as `10m`.";

    executor_secrets = optional types.bool "Whether the step's secrets go to the executor's machines even if the connection may not be encrypted (`slurm`, `start`).";
    share = optional types.bool "Whether a cache shares the results with others; by default it does if the step is pure or in a sandbox, has packages, and has no secrets.";
    warm = optional types.bool "Whether many tasks share one shell, each in a subshell; by default they do if the script cannot tell.";
    cache = optional (types.either types.bool types.str) "Whether a success is reused for the same input: `true`, `false`, how old it may be, such as `12h`, or `runset` for only within its runset.";
  };
in
{
  options = {
    name = mkOption {
      type = types.strMatching "[a-zA-Z0-9][a-zA-Z0-9._-]*";
      description = "The name of the pipeline, of its package and of its program.";
    };

    steps = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = common // {
            start = mkOption {
              type = types.bool;
              default = false;
              description = "Whether the pipeline starts here. Exactly one step does, or none if there are inputs.";
            };
            script = mkOption {
              type = types.lines;
              description = "What the step does. The script reads `$INPUT_FILE` and writes files to `$OUTPUT_DIR`.";
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
            files = optional (types.either types.str (types.listOf types.str)) "A glob, or several, for files below the folder of the pipeline; each file is an input.";
            rows = optional types.str "A .csv, .tsv or .jsonl file below that folder; each row is an input.";
            paths = optional (types.listOf types.str) "Columns of the sheet that name files, relative to the sheet's folder; the script finds these files in `$INPUT_DIR`, under the names of the columns.";
            lines = optional types.str "A command that each run starts; each line that it writes is an input.";
            packages = optional (types.listOf (types.either types.package types.str)) "Packages whose programs that command can call; they come before the host's.";
            step = optional (types.either types.str (types.listOf types.str)) "The step that takes them, or several that each take all of them; without it, their names route them, as with outputs.";
            name = optional types.str "The file names of the rows, with columns in braces: `{sample}`.";
            copy = optional types.bool "Whether the files that it names are copied into the db; if not, scripts get a link to the file where it lies.";
            empty = optional types.bool "Whether there may be no inputs; the results of earlier ones are then dropped.";
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
              description = "The type of its values.";
            };
            default = optional value "Its value if none is given; without a default, a value has to be given.";
            help = optional types.str "What it is for.";
            values = optional (types.listOf value) "The values it may have.";
            min = optional (types.either types.int types.float) "The smallest value it may have.";
            max = optional (types.either types.int types.float) "The largest value it may have.";
            volatile = optional types.bool "Whether it is left out of versions: another value does not make anything run again.";
          };
        }
      );
      default = { };
      description = "What the pipeline can be given with `-param`; scripts read it as `$PARAM_NAME`.";
    };

    store = mkOption {
      type = types.submodule {
        options = {
          keep_runsets = optional types.ints.positive "How many runsets to keep after a run that succeeded, counting from the one that ran last.";
          keep =
            optional
              (types.enum [
                "all"
                "finals"
              ])
              "Whose bytes to keep after a run that succeeded: everything, or only final outputs and what may not be possible to make again.";
        };
      };
      default = { };
      description = "What to keep in the db.";
    };

    cache = mkOption {
      type = types.submodule {
        options = {
          urls = optional (types.listOf types.str) "Where to find results of others: `file:///FOLDER`, `s3://BUCKET/PREFIX` or `https://HOST/PATH`.";
        };
      };
      default = { };
      description = "Results that are shared with others.";
    };

    publish = mkOption {
      type = types.submodule {
        options = {
          dir = optional types.str "The folder in which the final outputs are kept as files after each run.";
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
      description = "How much there is of what steps name in `uses`, for all tasks that run at the same time.";
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
      description = "Where tasks of steps run on other machines, by name; takes what `[executors.NAME]` takes in a manifest.";
    };

    defaults = mkOption {
      type = types.submodule { options = common; };
      default = { };
      description = "Values for steps that do not set their own.";
    };

    strict = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether to refuse a run whose scripts read something that their versions do not know of: files
        that are not in `files`, or host variables that are not in `keep`.
      '';
    };

    src = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = ''
        A folder with files that the scripts read. The scripts start in its copy in the Nix store;
        without it, in the folder in which the program is started.
      '';
    };
  };
}
