# `nix flake init -t task-pipeline#<name>`
let
  template = name: description: welcomeText: {
    path = ./. + "/${name}";
    inherit description;
    welcomeText = welcomeText + "\n" + copied;
  };
  copied = ''
    Outside of a Git repository Nix copies the whole folder, the state in `./db` too, into its store at
    each call: `git init` first, and `git add` the files before calling Nix; or keep the state elsewhere,
    with `-db FOLDER`.
  '';
in
{
  default =
    template "default" "A small pipeline, explained: fan-out, routing, an environment a step"
      ''
        # A pipeline that turns a Cargo.lock into tables

        - `nix run` runs it; the state goes to `./db`
        - `nix run .#task-pipeline -- export -db ./db -to results` writes the results as files
        - `nix build` runs it inside a Nix build; the tables are in `./result`

        Read `workflow.toml` first.
      '';

  ci = template "ci" "A pipeline as a reproducible CI job: flake check, GitHub workflow, locked" ''
    # A pipeline that checks this repository

    - `nix flake check` runs it inside a Nix build, as CI does
    - `nix run` runs it here, and only what changed since the last time

    `.github/workflows/ci.yml` calls the first.
  '';

  cluster = template "cluster" "The same pipeline on a laptop, over ssh and on Slurm" ''
    # From a laptop to a cluster

    - `nix run .#results` runs it here and writes `results/`
    - `nix run .#results -- -executor cluster` runs it on Slurm

    `README.md` goes there step by step.
  '';

  data = template "data" "Fan-out over many inputs, several environments, results as files" ''
    # A pipeline over a folder of data files

    - put your files into `inputs/`
    - `nix run .#results` processes what is new and writes `results/`
  '';

  matrix = template "matrix" "Build and test in a matrix of modes and shells, with a summary" ''
    # A matrix of builds and tests

    - `nix run .#results` runs what is new or changed and writes `results/`
    - `nix flake check` runs all of it inside a Nix build, as CI does

    `README.md` says where a matrix has its dimensions.
  '';

  nixos = template "nixos" "A NixOS machine that runs a pipeline every night" ''
    # A machine with a scheduled pipeline

    - `nix flake check` evaluates the machine and checks its pipeline
    - `nixos-rebuild switch --flake .#pipelines` puts it on a machine; merge its
      `hardware-configuration.nix` in first
    - `systemctl start task-pipeline-nightly` runs the pipeline now, `journalctl -u
      task-pipeline-nightly` says how it went
  '';

  samples =
    template "samples" "A sheet of samples with paired files, a reference, one report over all"
      ''
        # Paired reads of many samples

        - put your samples into `samples.csv`
        - `nix run .#results` runs what is new or changed and writes `results/`

        `README.md` says what this is in Nextflow and Snakemake.
      '';

  site = template "site" "A static site: pages, a list of them, a feed" ''
    # A static site

    - write pages into `pages/`
    - `nix run .#results` renders what is new or changed and writes `results/`
  '';

  words = template "words" "Counts of many files, merged into one table" ''
    # How often each word occurs in many texts

    - put texts into `texts/`
    - `nix run .#results` counts what is new or changed and writes `results/`
  '';
}
