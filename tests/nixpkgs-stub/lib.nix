# The few library functions that a flake of this project calls.
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    elem
    filter
    foldl'
    genList
    head
    isAttrs
    isFunction
    isList
    isString
    length
    listToAttrs
    map
    mapAttrs
    match
    removeAttrs
    replaceStrings
    stringLength
    substring
    ;
  moduleSystem = import ./modules.nix { lib = full; };
  full =
    base
    // moduleSystem
    // {
      modules = base.modules // {
        inherit (moduleSystem)
          evalModules
          mkIf
          mkMerge
          mkOverride
          ;
      };
      options = {
        inherit (moduleSystem) mkOption mkEnableOption mkPackageOption;
      };
    };
  base = rec {
    inherit (builtins)
      all
      any
      attrNames
      attrValues
      catAttrs
      concatLists
      concatMap
      concatStringsSep
      elem
      elemAt
      filter
      foldl'
      fromJSON
      fromTOML
      functionArgs
      genList
      getAttr
      hasAttr
      head
      intersectAttrs
      isAttrs
      isBool
      isFunction
      isInt
      isList
      isString
      length
      listToAttrs
      map
      mapAttrs
      match
      partition
      pathExists
      readFile
      removeAttrs
      replaceStrings
      seq
      sort
      split
      stringLength
      substring
      tail
      toJSON
      trace
      typeOf
      ;

    version = "00.00-stub";
    trivial = {
      inherit version;
      release = "00.00";
    };

    id = x: x;
    const = x: _: x;
    flip =
      f: a: b:
      f b a;
    pipe = foldl' (x: f: f x);
    optional = cond: x: if cond then [ x ] else [ ];
    optionals = cond: xs: if cond then xs else [ ];
    optionalAttrs = cond: set: if cond then set else { };
    optionalString = cond: s: if cond then s else "";
    assertMsg = cond: msg: if cond then true else throw msg;
    throwIf = cond: msg: if cond then throw msg else id;
    throwIfNot = cond: throwIf (!cond);
    warn = msg: builtins.trace "warning: ${msg}";
    warnIf = cond: msg: if cond then warn msg else id;
    toList = x: if isList x then x else [ x ];
    imap1 = f: xs: genList (n: f (n + 1) (builtins.elemAt xs n)) (length xs);
    unique = foldl' (acc: x: if elem x acc then acc else acc ++ [ x ]) [ ];
    flatten = x: if isList x then builtins.concatMap flatten x else [ x ];
    range = from: to: if from > to then [ ] else genList (n: from + n) (to - from + 1);
    last = xs: builtins.elemAt xs (length xs - 1);
    importJSON = p: builtins.fromJSON (builtins.readFile p);
    importTOML = p: builtins.fromTOML (builtins.readFile p);

    nameValuePair = name: value: { inherit name value; };
    genAttrs = names: f: listToAttrs (map (n: nameValuePair n (f n)) names);
    mapAttrs' = f: set: listToAttrs (map (n: f n set.${n}) (attrNames set));
    mapAttrsToList = f: set: map (n: f n set.${n}) (attrNames set);
    attrsToList = mapAttrsToList nameValuePair;
    concatMapAttrs = f: set: foldl' (a: b: a // b) { } (mapAttrsToList f set);
    filterAttrs = p: set: removeAttrs set (filter (n: !(p n set.${n})) (attrNames set));
    attrByPath =
      path: default: set:
      if path == [ ] then
        set
      else if isAttrs set && set ? ${head path} then
        attrByPath (builtins.tail path) default set.${head path}
      else
        default;
    getAttrFromPath = path: attrByPath path (throw "no attribute ${concatStringsSep "." path}");
    recursiveUpdate =
      a: b:
      a
      // mapAttrs (
        n: v:
        if isAttrs v && isAttrs (a.${n} or null) && !(isDerivation v) then recursiveUpdate a.${n} v else v
      ) b;
    isDerivation = x: x.type or null == "derivation";
    fix =
      f:
      let
        x = f x;
      in
      x;
    composeExtensions =
      f: g: final: prev:
      let
        one = f final prev;
      in
      one // g final (prev // one);
    composeManyExtensions = foldl' composeExtensions (_: _: { });

    hasPrefix = p: s: substring 0 (stringLength p) s == p;
    hasSuffix =
      p: s:
      let
        n = stringLength s - stringLength p;
      in
      n >= 0 && substring n (-1) s == p;
    removePrefix = p: s: if hasPrefix p s then substring (stringLength p) (-1) s else s;
    removeSuffix = p: s: if hasSuffix p s then substring 0 (stringLength s - stringLength p) s else s;
    hasInfix = infix: s: length (splitString infix s) > 1;
    splitString = sep: s: filter isString (builtins.split (escapeRegex sep) s);
    escapeRegex =
      builtins.replaceStrings
        [
          "\\"
          "."
          "+"
          "*"
          "?"
          "^"
          "$"
          "("
          ")"
          "["
          "]"
          "{"
          "}"
          "|"
        ]
        [
          "\\\\"
          "\\."
          "\\+"
          "\\*"
          "\\?"
          "\\^"
          "\\$"
          "\\("
          "\\)"
          "\\["
          "\\]"
          "\\{"
          "\\}"
          "\\|"
        ];
    toIntBase10 = s: builtins.fromJSON (head (match "0*([0-9]+)" s));
    boolToString = b: if b then "true" else "false";
    stringToCharacters = s: genList (n: substring n 1 s) (stringLength s);
    concatStrings = concatStringsSep "";
    concatLines = xs: concatStrings (map (l: l + "\n") xs);
    concatMapStrings = f: xs: concatStrings (map f xs);
    concatMapStringsSep =
      sep: f: xs:
      concatStringsSep sep (map f xs);
    escapeShellArg = x: "'${replaceStrings [ "'" ] [ "'\\''" ] (toString x)}'";
    escapeShellArgs = concatMapStringsSep " " escapeShellArg;
    makeSearchPath =
      sub: pkgs: concatStringsSep ":" (map (p: "${p}/${sub}") (filter (p: p != null) pkgs));
    makeBinPath = makeSearchPath "bin";
    getExe' = p: prog: "${p}/bin/${prog}";
    getExe = p: getExe' p (p.meta.mainProgram or (throw "getExe: ${p.name} has no meta.mainProgram"));
    getBin = p: p;
    getName = p: p.pname or (builtins.parseDrvName p.name).name;
    getVersion = p: p.version or (builtins.parseDrvName p.name).version;
    fakeHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    # Sources: a filter keeps what a build must not see out of it.
    cleanSourceFilter =
      name: type:
      !(elem (baseNameOf name) [
        ".git"
        ".svn"
        ".hg"
        "target"
        "result"
      ])
      && !(type == "symlink" && hasPrefix "result-" (baseNameOf name));
    cleanSourceWith =
      {
        src,
        filter ? (_: _: true),
        name ? "source",
      }:
      builtins.path {
        inherit name filter;
        path = src;
      };
    cleanSource =
      src:
      cleanSourceWith {
        inherit src;
        filter = cleanSourceFilter;
      };
    sources = { inherit cleanSource cleanSourceWith cleanSourceFilter; };
    fileset = rec {
      # A fileset is a predicate on an absolute path here.
      unions = sets: path: builtins.any (s: (coerce s) path) sets;
      union =
        a: b:
        unions [
          a
          b
        ];
      intersection =
        a: b: path:
        (coerce a) path && (coerce b) path;
      difference =
        a: b: path:
        (coerce a) path && !((coerce b) path);
      maybeMissing = coerce;
      gitTracked = root: coerce root;
      fromSource = _: _: true;
      fileFilter =
        p: root: path:
        coerce root path
        && p {
          name = baseNameOf path;
          type = "regular";
          hasExt = e: hasSuffix ".${e}" path;
        };
      coerce = s: if isFunction s then s else path: path == toString s || hasPrefix "${toString s}/" path;
      toSource =
        { root, fileset }:
        builtins.path {
          name = "source";
          path = root;
          filter = path: type: type == "directory" || (coerce fileset) path;
        };
    };

    modules.importApply = file: static: {
      _file = toString file;
      imports = [ (import file static) ];
    };

    licenses =
      mapAttrs
        (
          _: l:
          {
            free = true;
            deprecated = false;
          }
          // l
        )
        {
          mit = {
            spdxId = "MIT";
            fullName = "MIT License";
          };
          asl20 = {
            spdxId = "Apache-2.0";
            fullName = "Apache License 2.0";
          };
          gpl3Plus = {
            spdxId = "GPL-3.0-or-later";
            fullName = "GNU GPL v3 or later";
          };
          gpl3Only = {
            spdxId = "GPL-3.0-only";
            fullName = "GNU GPL v3 only";
          };
          mpl20 = {
            spdxId = "MPL-2.0";
            fullName = "Mozilla Public License 2.0";
          };
          bsd3 = {
            spdxId = "BSD-3-Clause";
            fullName = "BSD 3-clause";
          };
          unfree = {
            free = false;
            fullName = "Unfree";
          };
        };
    sourceTypes.fromSource = {
      isSource = true;
      shortName = "fromSource";
    };
    maintainers = { };
    teams = { };
    platforms = rec {
      linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      darwin = [
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      unix = linux ++ darwin;
      all = unix;
    };
    systems.flakeExposed = platforms.all;
    strings = {
      inherit
        concatStringsSep
        concatMapStringsSep
        escapeShellArg
        escapeShellArgs
        hasPrefix
        hasSuffix
        makeBinPath
        optionalString
        removePrefix
        removeSuffix
        splitString
        toJSON
        ;
      inherit (builtins) unsafeDiscardStringContext;
    };
    attrsets = {
      inherit
        filterAttrs
        genAttrs
        mapAttrs'
        mapAttrsToList
        nameValuePair
        optionalAttrs
        recursiveUpdate
        ;
    };
    lists = {
      inherit
        flatten
        optional
        optionals
        range
        unique
        ;
    };
  };
in
full
