# Pipelines written in Nix: as a program, as a derivation, and with every string that could break
# the manifest on its way from one to the other.
{
  pkgs,
  mkPipeline,
  fromManifest,
  runPipeline,
}:
let
  inherit (pkgs) lib;

  # Quotes, backslashes, newlines, the ends of TOML and Nix strings, control characters.
  awkward = builtins.fromJSON ''"'\"\"\" \"quoted\" \\ \\n ''' ''${x} $(y) `z` \t\u0001\u001b[1m\u007f\r\n\n é ☃\\"'';

  strings = mkPipeline {
    name = "strings";
    defaults.packages = [ pkgs.coreutils ];
    steps.write = {
      start = true;
      env.AWKWARD = awkward;
      script = ''
        printf %s "$AWKWARD" > "$OUTPUT_DIR/variable.txt"
        printf %s ${lib.escapeShellArg awkward} > "$OUTPUT_DIR/script.txt"
      '';
    };
  };

  words = mkPipeline {
    name = "words";
    defaults.timeout = "1m";
    steps = {
      split = {
        start = true;
        packages = [ pkgs.coreutils ];
        script = ''
          n=0
          for word in one two three; do
            n=$((n + 1))
            echo $word > "$OUTPUT_DIR/$n"_upper.txt
          done
        '';
      };
      upper = {
        packages = [
          "coreutils"
          pkgs.gnused
        ];
        env.SUFFIX = 1;
        retries = 1;
        script = ''
          tr a-z A-Z < "$INPUT_FILE" | sed "s/$/$SUFFIX/" > "$OUTPUT_DIR/''${TASK_PIPELINE_INPUT_NAME%_upper.txt}.txt"
        '';
      };
    };
  };
in
{
  mk-pipeline = pkgs.runCommand "check-mk-pipeline" { } ''
    cd "$NIX_BUILD_TOP"
    export HOME=$NIX_BUILD_TOP
    ${lib.getExe words}
    ${lib.getExe words} export -db db -to results
    cat results/*.txt | tee $out
    printf '%s\n' ONE1 TWO1 THREE1 | cmp - $out
  '';

  run-pipeline =
    let
      result = runPipeline { pipeline = strings; };
      expected = pkgs.writeText "awkward" awkward;
    in
    pkgs.runCommand "check-run-pipeline" { } ''
      cmp ${expected} ${result}/variable.txt
      cmp ${expected} ${result}/script.txt
      touch $out
    '';

  from-manifest =
    let
      result = runPipeline {
        pipeline = fromManifest {
          name = "crates";
          manifest = ../../templates/default/workflow.toml;
        };
        src = ../../templates/default;
      };
    in
    pkgs.runCommand "check-from-manifest" { } ''
      grep -q '| libc |' ${result}/top.md
      touch $out
    '';
}
