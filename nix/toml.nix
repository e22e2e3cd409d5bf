# Nix values as TOML text. Written here and not left to a build-time converter, because scripts
# are the point: they stay readable, keep the context of every store path in them, and any
# string that Nix can hold comes out of the TOML parser again byte by byte.
{ lib }:
let
  inherit (builtins) fromJSON genList replaceStrings;

  # Control characters by their \uXXXX escapes: TOML allows none of them raw in a string. (A NUL
  # cannot occur in a Nix string.) A tab may stay.
  hex =
    n:
    lib.concatMapStrings (d: lib.elemAt (lib.stringToCharacters "0123456789abcdef") d) [
      (n / 16)
      (n - 16 * (n / 16))
    ];
  escapes = map (n: "\\u00${hex n}") (genList (n: n + 1) 8 ++ genList (n: n + 11) 21 ++ [ 127 ]);
  quoteRaw =
    replaceStrings
      (
        [
          "\\"
          "\""
        ]
        ++ map (e: fromJSON "\"${e}\"") escapes
      )
      (
        [
          "\\\\"
          "\\\""
        ]
        ++ escapes
      );

  # Text of several lines stays so, with every quote escaped: nothing in it can end it.
  string =
    text: if lib.hasInfix "\n" text then "\"\"\"\n${quoteRaw text}\"\"\"" else "\"${quoteRaw text}\"";
  # A line of its own is not allowed in a key.
  key =
    name:
    if builtins.match "[A-Za-z0-9_-]+" name != null then
      name
    else
      "\"${replaceStrings [ "\n" ] [ "\\n" ] (quoteRaw name)}\"";

  isTable = value: builtins.isAttrs value && !(value ? outPath);
  isTables = value: builtins.isList value && value != [ ] && lib.all isTable value;
  withoutNull = lib.filterAttrs (_: value: value != null);

  # An entry of a list of tables is known by its name, where it has one: "…, step 'fetch'".
  named =
    where: n: value:
    "${where}, ${n}${lib.optionalString (builtins.isString value.name or null) " '${value.name}'"}";

  fail = where: what: throw "${where}: ${what}";

  inline =
    where: value:
    if builtins.isString value then
      string value
    else if builtins.isBool value then
      lib.boolToString value
    else if builtins.isInt value then
      toString value
    else if builtins.isFloat value then
      builtins.toJSON value
    else if builtins.isPath value then
      string "${value}"
    else if builtins.isList value then
      "[${lib.concatStringsSep ", " (lib.imap1 (n: inline "${where}, entry ${toString n}") value)}]"
    else if builtins.isAttrs value && value ? outPath then
      string "${lib.getBin value}"
    else if builtins.isAttrs value then
      "{ ${
        lib.concatStringsSep ", " (
          lib.mapAttrsToList (n: v: "${key n} = ${inline "${where}.${n}" v}") (withoutNull value)
        )
      } }"
    else if value == null then
      fail where "null in a list: TOML has none"
    else
      fail where "no TOML for a ${
        if builtins.isFunction value then "function" else builtins.typeOf value
      }";

  # Plain keys first: after the first header they would belong to another table.
  table =
    where: path: value:
    let
      all = withoutNull value;
      at = n: path ++ [ n ];
      header = n: lib.concatMapStringsSep "." key (at n);
      below = n: "${where}.${n}";
    in
    lib.concatStrings (
      lib.mapAttrsToList (n: v: "${key n} = ${inline (below n) v}\n") (
        lib.filterAttrs (_: v: !(isTable v) && !(isTables v)) all
      )
      ++ lib.mapAttrsToList (n: v: "\n[${header n}]\n${table (below n) (at n) v}") (
        lib.filterAttrs (_: isTable) all
      )
      ++ lib.mapAttrsToList (
        n: lib.concatMapStrings (v: "\n[[${header n}]]\n${table (named where n v) (at n) v}")
      ) (lib.filterAttrs (_: isTables) all)
    );
in
# where: words for error messages; value: the document, an attribute set.
where: value: table where [ ] value
