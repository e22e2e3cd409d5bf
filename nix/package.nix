{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  makeBinaryWrapper,
  versionCheckHook,
  bash,
  dash,
  git,
  nix,
  perl,
  procps,
  python3,
  util-linux,
  nix-update-script,
  runCommand,
}:
let
  manifest = lib.importTOML ../Cargo.toml;
in
rustPlatform.buildRustPackage (finalAttrs: {
  pname = "task-pipeline";
  inherit (manifest.package) version;

  # Only what cargo and its tests read.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.toml
      ../Cargo.lock
      ../README.md
      ../CHANGELOG.md
      ../CONTRIBUTING.md
      ../LICENSE
      ../clippy.toml
      ../.github/run-pipeline
      ../docs
      ../src
      ../templates
      ../tests
      (lib.fileset.maybeMissing ../build.rs)
    ];
  };

  cargoLock.lockFile = ../Cargo.lock;

  nativeBuildInputs = [
    installShellFiles
    makeBinaryWrapper
  ];

  # What can be tested in a build sandbox. `tests/run` has the rest: what drives Nix (`nix`, `flake`),
  # what counts system calls and instructions of the machine at hand (`guard`), and those single
  # tests that take a browser, mounts, strace or more shells. Beyond Linux the sandboxes are too unlike.
  cargoTestFlags = [
    "--lib"
    "--test=readme"
  ]
  ++ lib.optionals stdenv.hostPlatform.isLinux [
    "--test=cli"
  ];
  nativeCheckInputs = [
    bash
    git
    python3
  ]
  ++ lib.optionals stdenv.hostPlatform.isLinux [
    dash
    perl
    procps
    util-linux
  ];
  preCheck = ''
    export TASK_PIPELINE_TESTS_WITHOUT_BROWSER=1
    export TASK_PIPELINE_TESTS_WITHOUT_EDITORS=1
    export TASK_PIPELINE_TESTS_WITHOUT_PRIVILEGES=1
    export TASK_PIPELINE_TESTS_WITHOUT_SANDBOX=1
    export TASK_PIPELINE_TESTS_WITHOUT_SHELLS=1
    export TASK_PIPELINE_TESTS_WITHOUT_SLURM=1
    export TASK_PIPELINE_TESTS_WITHOUT_S3=1
    export TASK_PIPELINE_TESTS_WITHOUT_SSH=1
    export TASK_PIPELINE_TESTS_WITHOUT_STRACE=1
  '';

  postInstall =
    lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
      for shell in bash zsh fish; do
        $out/bin/task-pipeline completions $shell > completions.$shell
        installShellCompletion --cmd task-pipeline --$shell completions.$shell
      done
      $out/bin/task-pipeline man > task-pipeline.1
      installManPage task-pipeline.1
    ''
    + ''
      install -Dm644 -t $out/share/doc/task-pipeline README.md CHANGELOG.md CONTRIBUTING.md LICENSE
      install -Dm644 -t $out/share/doc/task-pipeline/docs docs/*.md
    '';

  # Last on PATH: they stand in where the user has none of their own and hide nothing.
  postFixup = ''
    wrapProgram $out/bin/task-pipeline --suffix PATH : ${
      lib.makeBinPath [
        nix
        bash
      ]
    }
  '';

  doInstallCheck = true;
  nativeInstallCheckInputs = [ versionCheckHook ];

  passthru = {
    updateScript = nix-update-script { };
    # A pipeline from its template to its results, by what is installed.
    tests.pipeline =
      runCommand "task-pipeline-runs" { nativeBuildInputs = [ finalAttrs.finalPackage ]; }
        ''
          export HOME=$NIX_BUILD_TOP
          task-pipeline init default pipeline
          cd pipeline
          task-pipeline run -host-env
          task-pipeline export -to $out
          grep -q '| libc |' $out/top.md
        '';
  };

  meta = {
    inherit (manifest.package) description;
    longDescription = ''
      task-pipeline runs the steps of a manifest, each script in its own Nix environment, keeps
      every output in a content-addressed store and the state in SQLite, and runs again only
      what a change touches.
    '';
    homepage = "https://github.com/danhab99/task-pipeline";
    changelog = "https://github.com/danhab99/task-pipeline/blob/main/CHANGELOG.md";
    license = lib.licenses.mit;
    mainProgram = "task-pipeline";
    platforms = lib.platforms.unix;
  };
})
