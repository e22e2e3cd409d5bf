# A small module system: options, types, priorities, submodules, freeform values. It behaves as
# nixpkgs' own does for what the modules of this project use, and says the same words where it
# refuses something, so that tests without a network can hold the modules to them.
{ lib }:
let
  inherit (builtins)
    all
    any
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    functionArgs
    head
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isString
    listToAttrs
    map
    mapAttrs
    match
    removeAttrs
    substring
    tail
    ;
  inherit (lib) isDerivation optional;

  showOption =
    loc:
    concatStringsSep "." (
      map (p: if match "[A-Za-z_][A-Za-z0-9_'-]*|<.*>|[*]" p != null then p else builtins.toJSON p) loc
    );
  show =
    v:
    if isDerivation v then
      "<derivation ${v.name}>"
    else if isFunction v then
      "<function>"
    else if isAttrs v then
      "{ ${concatStringsSep " " (map (n: "${n} = …;") (attrNames v))} }"
    else if isList v then
      "[ ${concatStringsSep " " (map show v)} ]"
    else if builtins.isPath v then
      toString v
    else
      builtins.toJSON v;
  showDefs = defs: concatStringsSep "" (map (d: "\n- In `${d.file}': ${show d.value}") defs);

  isProperty = kind: v: isAttrs v && v._type or null == kind;
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };

  # The values that one definition stands for, with their priorities.
  discharge =
    priority: def:
    let
      v = def.value;
    in
    if isProperty "if" v then
      if v.condition then discharge priority (def // { value = v.content; }) else [ ]
    else if isProperty "merge" v then
      concatMap (c: discharge priority (def // { value = c; })) v.contents
    else if isProperty "override" v then
      discharge v.priority (def // { value = v.content; })
    else if isProperty "order" v then
      discharge priority (def // { value = v.content; })
    else
      [ (def // { inherit priority; }) ];
  strongest =
    defs:
    let
      best = foldl' (a: d: if d.priority < a then d.priority else a) 9999 defs;
    in
    filter (d: d.priority == best) defs;

  # `if` and `merge` around whole sets of options move down to the single options.
  pushDown =
    def:
    let
      v = def.value;
    in
    if isProperty "merge" v then
      concatMap (c: pushDown (def // { value = c; })) v.contents
    else if isProperty "if" v then
      map (d: d // { value = mapAttrs (_: x: mkIf v.condition x) d.value; }) (
        pushDown (def // { value = v.content; })
      )
    else if isProperty "override" v then
      map (d: d // { value = mapAttrs (_: x: mkOverride v.priority x) d.value; }) (
        pushDown (def // { value = v.content; })
      )
    else
      [ def ];

  mergeOption =
    loc: opt: defs:
    let
      type = opt.type or types.unspecified;
      given = strongest (
        concatMap (discharge 100) defs
        ++ optional (opt ? default) {
          file = "the option's default";
          value = opt.default;
          priority = 1500;
        }
      );
      bad = filter (d: !(type.check d.value)) given;
      merged =
        if given == [ ] then
          type.emptyValue
            or (throw "The option `${showOption loc}' was accessed but has no value defined. Try setting the option.")
        else if bad != [ ] then
          throw "A definition for option `${showOption loc}' is not of type `${type.description}'. Definition values:${showDefs bad}"
        else
          type.merge loc given;
    in
    (opt.apply or (x: x)) merged;

  # Option declarations of several modules in one tree.
  mergeDecls = foldl' (
    a: b:
    a
    // mapAttrs (
      n: v:
      if a ? ${n} && !(isProperty "option" a.${n}) && !(isProperty "option" v) then
        mergeDecls [
          a.${n}
          v
        ]
      else
        v
    ) b
  ) { };

  evalTree =
    loc: freeform: decls: defs:
    let
      flat = concatMap pushDown defs;
      at =
        n:
        map (d: {
          inherit (d) file;
          value = d.value.${n};
        }) (filter (d: d.value ? ${n}) flat);
      known = mapAttrs (
        n: o:
        if isProperty "option" o then
          mergeOption (loc ++ [ n ]) o (at n)
        else
          evalTree (loc ++ [ n ]) null o (at n)
      ) decls;
      unknown = map (d: d // { value = removeAttrs d.value (attrNames decls); }) flat;
      extra = filter (d: d.value != { }) unknown;
      first = head extra;
    in
    if freeform != null then
      (if extra == [ ] then { } else freeform.merge loc extra) // known
    else if extra != [ ] then
      throw "The option `${
        showOption (loc ++ [ (head (attrNames first.value)) ])
      }' does not exist. Definition values:${
        showDefs [ (first // { value = first.value.${head (attrNames first.value)}; }) ]
      }"
    else
      known;

  loadModule =
    args: file: m:
    let
      source = if builtins.isPath m || isString m then toString m else file;
      raw = if builtins.isPath m || isString m then import m else m;
      # Arguments are handed over by name, as late as possible: `config` is not known yet.
      names = attrNames (functionArgs raw);
      called =
        if isFunction raw then
          raw (
            args
            // listToAttrs (
              map (n: {
                name = n;
                value = args.${n} or args.config._module.args.${n};
              }) names
            )
          )
        else
          raw;
      from = called._file or source;
      structured = called ? config || called ? options;
      reserved = [
        "_file"
        "key"
        "imports"
        "options"
        "config"
        "meta"
        "freeformType"
        "disabledModules"
        "_class"
      ];
      # Any other `//` that the module reader of nixpkgs would refuse is refused here too.
      stray = filter (n: !(elem n reserved)) (attrNames called);
    in
    if structured && stray != [ ] then
      throw "Module `${from}' has an unsupported attribute `${head stray}'."
    else
      [
        {
          file = from;
          options = called.options or { };
          config = if structured then called.config or { } else removeAttrs called reserved;
          freeform = called.freeformType or null;
        }
      ]
      ++ concatMap (loadModule args from) (called.imports or [ ]);

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
      class ? null,
    }:
    let
      args = specialArgs // {
        inherit lib config options;
      };
      loaded = concatMap (loadModule args "<unknown-file>") modules;
      options = mergeDecls (map (m: m.options) loaded) // {
        _module.args = mkOption {
          type = types.lazyAttrsOf types.raw;
          default = { };
        };
      };
      freeform = foldl' (a: m: if m.freeform != null then m.freeform else a) null loaded;
      config = evalTree prefix freeform options (
        map (m: {
          inherit (m) file;
          value = m.config;
        }) loaded
      );
    in
    {
      inherit options;
      config = removeAttrs config [ "_module" ];
      _module.args = config._module.args;
      type = types.submodule modules;
    };

  mkOption = attrs: { _type = "option"; } // attrs;
  mkOptionType =
    {
      name,
      description ? name,
      check ? (_: true),
      merge ? mergeOne,
      ...
    }@t:
    t
    // {
      _type = "option-type";
      inherit
        name
        description
        check
        merge
        ;
    };
  mergeOne =
    loc: defs:
    let
      first = (head defs).value;
    in
    if all (d: isFunction d.value || d.value == first) (tail defs) then
      first
    else
      throw "The option `${showOption loc}' has conflicting definition values:${showDefs defs}";
  scalar =
    name: description: check:
    mkOptionType { inherit name description check; };
  isStringLike = v: isString v || builtins.isPath v || v ? outPath;
  # Options below a type, for documentation: where it holds submodules.
  subOptions = t: loc: (t.getSubOptions or (_: { })) loc;
  perElement = type: loc: mergeOption loc { inherit type; };

  types = rec {
    unspecified = scalar "unspecified" "unspecified value" (_: true);
    raw = scalar "raw" "raw value" (_: true);
    bool = scalar "bool" "boolean" isBool;
    int = scalar "int" "signed integer" isInt;
    float = scalar "float" "floating point number" isFloat;
    ints = {
      unsigned = scalar "unsignedInt" "unsigned integer, meaning >=0" (v: isInt v && v >= 0);
      positive = scalar "positiveInt" "positive integer, meaning >0" (v: isInt v && v > 0);
    };
    str = scalar "str" "string" isString;
    nonEmptyStr = scalar "nonEmptyStr" "non-empty string" (v: isString v && match "[ \t\n]*" v == null);
    singleLineStr = scalar "singleLineStr" "(optionally newline-terminated) single-line string" (
      v: isString v && match "[^\n\r]*\n?" v != null
    );
    strMatching =
      re: scalar "strMatching" "string matching the pattern ${re}" (v: isString v && match re v != null);
    lines = mkOptionType {
      name = "lines";
      description = "strings concatenated with \"\\n\"";
      check = isString;
      merge = _: defs: concatStringsSep "\n" (map (d: d.value) defs);
    };
    path = scalar "path" "absolute path" (v: isStringLike v && substring 0 1 (toString v) == "/");
    externalPath = scalar "externalPath" "absolute path, not in the Nix store" (
      v:
      isStringLike v
      && substring 0 1 (toString v) == "/"
      && !(lib.hasPrefix builtins.storeDir (toString v))
    );
    package = scalar "package" "package" (
      v: isDerivation v || (isStringLike v && lib.hasPrefix "${builtins.storeDir}/" (toString v))
    );
    enum = values: scalar "enum" "one of ${concatStringsSep ", " (map show values)}" (v: elem v values);
    attrs = mkOptionType {
      name = "attrs";
      description = "attribute set";
      check = isAttrs;
      merge = _: foldl' (a: d: a // d.value) { };
    };
    anything = mkOptionType {
      name = "anything";
      description = "anything";
      merge =
        loc: defs:
        if all (d: isAttrs d.value && !(isDerivation d.value)) defs then
          (lazyAttrsOf anything).merge loc defs
        else if all (d: isList d.value) defs then
          concatMap (d: d.value) defs
        else
          mergeOne loc defs;
    };
    nullOr =
      t:
      mkOptionType {
        name = "nullOr";
        description = "null or ${t.description}";
        getSubOptions = subOptions t;
        check = v: v == null || t.check v;
        merge = loc: defs: if any (d: d.value == null) defs then mergeOne loc defs else t.merge loc defs;
        emptyValue = null;
      };
    either =
      a: b:
      mkOptionType {
        name = "either";
        description = "${a.description} or ${b.description}";
        check = v: a.check v || b.check v;
        merge = loc: defs: if all (d: a.check d.value) defs then a.merge loc defs else b.merge loc defs;
      };
    oneOf = ts: foldl' either (head ts) (tail ts);
    addCheck = t: check: t // { check = v: t.check v && check v; };
    coercedTo =
      from: f: to:
      mkOptionType {
        name = "coercedTo";
        description = "${to.description} or ${from.description} convertible to it";
        check = v: to.check v || from.check v;
        merge =
          loc: defs:
          to.merge loc (map (d: d // { value = if from.check d.value then f d.value else d.value; }) defs);
      };
    listOf =
      t:
      mkOptionType {
        name = "listOf";
        description = "list of ${t.description}";
        getSubOptions = loc: { "*" = subOptions t (loc ++ [ "*" ]); };
        check = isList;
        emptyValue = [ ];
        merge =
          loc: defs:
          concatLists (
            lib.imap1 (
              n: d:
              lib.imap1 (
                m: v:
                perElement t (loc ++ [ "<definition ${toString n}-entry ${toString m}>" ]) [ (d // { value = v; }) ]
              ) d.value
            ) defs
          );
      };
    attrsOf =
      t:
      mkOptionType {
        name = "attrsOf";
        description = "attribute set of ${t.description}";
        getSubOptions = loc: { "<name>" = subOptions t (loc ++ [ "<name>" ]); };
        check = v: isAttrs v && !(isDerivation v);
        emptyValue = { };
        merge =
          loc: defs:
          let
            flat = concatMap pushDown defs;
            names = lib.unique (concatMap (d: attrNames d.value) flat);
            at = n: map (d: d // { value = d.value.${n}; }) (filter (d: d.value ? ${n}) flat);
            live = filter (n: concatMap (discharge 100) (at n) != [ ]) names;
          in
          lib.genAttrs live (n: perElement t (loc ++ [ n ]) (at n));
      };
    lazyAttrsOf = attrsOf;
    submodule = modules: submoduleWith { modules = lib.toList modules; };
    submoduleWith =
      {
        modules,
        specialArgs ? { },
        ...
      }:
      mkOptionType {
        name = "submodule";
        description = "submodule";
        getSubOptions =
          loc:
          (evalModules {
            modules = modules ++ [ { _module.args.name = mkOverride 1000 "<name>"; } ];
            inherit specialArgs;
            prefix = loc;
          }).options;
        check = v: (isAttrs v && !(isDerivation v)) || isFunction v || builtins.isPath v;
        emptyValue = { };
        merge =
          loc: defs:
          (evalModules {
            modules =
              modules
              ++ [ { _module.args.name = mkOverride 1000 (lib.last loc); } ]
              ++ map (
                d:
                if isAttrs d.value then
                  {
                    _file = d.file;
                    config = d.value;
                  }
                else
                  d.value
              ) defs;
            inherit specialArgs;
            prefix = loc;
          }).config;
      };
    deferredModule = raw;
  };

  # Options as documentation lists them: of submodules, too.
  optionAttrSetToDocList = docList [ ];
  docList =
    prefix: options:
    concatLists (
      lib.mapAttrsToList (
        n: o:
        let
          loc = prefix ++ [ n ];
          text = v: if isProperty "literalExpression" v then v else literalExpression (pretty v);
        in
        if n == "_module" then
          [ ]
        else if isProperty "option" o then
          [
            (
              {
                inherit loc;
                name = showOption loc;
                description = o.description or null;
                type = o.type.description or "unspecified value";
                visible = o.visible or true;
                internal = o.internal or false;
                readOnly = false;
                declarations = [ ];
              }
              // lib.optionalAttrs (o ? default) { default = text (o.defaultText or o.default); }
              // lib.optionalAttrs (o ? example) { example = text o.example; }
            )
          ]
          ++ docList loc (subOptions o.type loc)
        else
          docList loc o
      ) options
    );
  pretty =
    v:
    if v == { } then
      "{ }"
    else if v == [ ] then
      "[ ]"
    else
      show v;
  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };
in
{
  inherit
    optionAttrSetToDocList
    literalExpression
    evalModules
    mkOption
    mkOptionType
    mkIf
    mkMerge
    mkOverride
    types
    showOption
    ;
  mkOptionDefault = mkOverride 1500;
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkBefore = content: {
    _type = "order";
    inherit content;
  };
  mkAfter = content: {
    _type = "order";
    inherit content;
  };
  literalMD = text: {
    _type = "literalMD";
    inherit text;
  };
  mkEnableOption =
    what:
    mkOption {
      type = types.bool;
      default = false;
      description = "Whether to enable ${what}.";
    };
  mkPackageOption =
    pkgs: name:
    {
      default ? name,
      nullable ? false,
      pkgsText ? "pkgs",
      ...
    }:
    mkOption {
      type = if nullable then types.nullOr types.package else types.package;
      default = lib.getAttrFromPath (lib.toList default) pkgs;
      defaultText = literalExpression "${pkgsText}.${concatStringsSep "." (lib.toList default)}";
      description = "The ${name} package to use.";
    };
}
