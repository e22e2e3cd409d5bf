//! `[params]`, right and wrong.

use insta::assert_snapshot;

use super::errors::messages;
use super::manifest;
use crate::model::param::{Param, ParamType};

#[test]
fn all_that_can_be_said() {
    let manifest = manifest(
        r#"
        [defaults]
        params = ["n"]
        [params]
        threshold = { type = "float", default = 0.50, help = "What\ncounts.", min = 0, max = 1 }
        n = { type = "int", min = -16, values = [1, 0x10] }
        on = { type = "bool", default = false, volatile = true }
        [params.mode]
        type = "string"
        values = ["fast", "exact"]
        default = "fast"
        [[step]]
        name = "a"
        start = true
        script = ":"
        params = ["on", "mode", "on"]
        [[step]]
        name = "b"
        script = ":"
        "#,
    );
    let threshold = Param {
        kind: ParamType::Decimal,
        default: Some("0.5".into()),
        help: Some("What\ncounts.".into()),
        values: Vec::new(),
        min: Some("0.0".into()),
        max: Some("1.0".into()),
        volatile: false,
    };
    assert_eq!(manifest.params["threshold"], threshold);
    let words: Vec<String> = manifest.params.values().map(Param::in_words).collect();
    assert_eq!(
        words,
        [
            "string, default fast, one of fast exact",
            "int, required, one of 1 16, at least -16",
            "bool, default false, volatile",
            "float, default 0.5, at least 0.0, at most 1.0",
        ]
    );
    assert_eq!(manifest.steps[0].params, ["mode", "on"]);
    assert_eq!(manifest.steps[1].params, ["n"]);
}

#[test]
fn what_is_wrong_with_one() {
    assert_snapshot!(messages(r#"
        params = ["treshold", "other", 1]
        env = { PARAM_threshold = "1", PARAM_other = "1" }
        keep = ["PARAM_threshold"]
        [params]
        threshold = { type = "float", default = 2, max = 1 }
        a-b = { type = "int" }
        "1x" = { type = "int" }
        plain = 0.5
        list = [1]
        none = { default = 1, help = 1, volatile = "yes" }
        kind = { type = "integer" }
        other_kind = { type = "list" }
        text = { type = "string", min = 1, default = 1 }
        range = { type = "int", min = 2, max = 1 }
        large = { type = "int", default = 9223372036854775808 }
        inf = { type = "float", default = inf }
        some = { type = "string", values = [], choices = ["a"] }
        twice = { type = "int", values = [1, 0x1, "2"], default = 3 }
        flag = { type = "bool", default = "true", defualt = true, what = 1 }
    "#), @r#"
    there is no parameter `treshold` | treshold | did you mean `threshold`?
    there is no parameter `other` | other | name one that [params] declares
    an entry of `params` must be a string, not a whole number | 1 | in quotes it is a string: "1"
    `env` cannot have `PARAM_threshold`: that is the parameter `threshold` | { PARAM_threshold = "1", PARAM_other = "1" } | give one of the two another name
    `keep` cannot have `PARAM_threshold`: that is the parameter `threshold` | ["PARAM_threshold"] | give one of the two another name
    `default`: 2.0 is more than 1.0 | 2 | -
    `a-b` cannot be a parameter's name | a-b | use letters, digits and underscores, but no digit first: scripts read it as a variable
    `1x` cannot be a parameter's name | "1x" | use letters, digits and underscores, but no digit first: scripts read it as a variable
    parameter `plain` must be a table, not a decimal number | 0.5 | write plain = { type = "float", default = 0.5 }
    parameter `list` must be a table, not an array | [1] | -
    parameter `none` has no type | none | add type = one of "string", "int", "float", "bool"
    there is no type `integer` | integer | did you mean "int"?
    there is no type `list` | list | one of "string", "int", "float", "bool": a parameter is one value; for several, use an [[input]], or a string with commas
    `min` is for int and float, not for string | 1 | leave it out
    `default` must be a string, not a whole number | 1 | in quotes it is a string
    `max` is less than `min`, which is 2 | 1 | -
    `default`: `9223372036854775808` is not a whole number of 64 bits | 9223372036854775808 | from -9223372036854775808 to 9223372036854775807
    `default`: `inf` is not a decimal number | inf | -
    `values` is empty | [] | if any value will do, leave the key out
    unknown key `choices` in parameter `some` | choices | did you mean `values`?
    `1` is already listed | 0x1 | leave it out
    an entry of `values` must be a whole number, not a string | "2" | a whole number is written without quotes
    `default`: `3` is not one of its values | 3 | it can be: 1
    `default` must be true or false, not a string | "true" | true or false is written without quotes
    unknown key `defualt` in parameter `flag` | defualt | did you mean `default`?
    unknown key `what` in parameter `flag` | what | a parameter can have: type, default, help, values, min, max, volatile
    "#);
    assert_snapshot!(messages("[[params]]\nx = 1"), @r#"`params` must be one table, not an array | [[params]] | for instance [params] with threshold = { type = "float", default = 0.5 }"#);
    assert_snapshot!(messages("[parms]\nx = { type = 'int' }"), @"unknown table `parms` | parms | did you mean [params]?");
}
