use super::*;

fn read(text: &str, format: Format, name: Option<&str>) -> Result<Sheet, BadSheet> {
    with_paths(text, format, name, &[])
}

fn with_paths(
    text: &str,
    format: Format,
    name: Option<&str>,
    paths: &[&str],
) -> Result<Sheet, BadSheet> {
    let name = name.map(|name| Template::parse(name).unwrap());
    let paths = paths.iter().map(|path| (*path).into()).collect();
    let wanted = Wanted {
        name: name.as_ref(),
        paths: &paths,
        folder: "sheets",
    };
    Sheet::read(text.into(), format, &wanted)
}

fn csv(text: &str, name: &str) -> Vec<(usize, String, String)> {
    shown(&read(text, Format::Csv, Some(name)).unwrap())
}

fn shown(sheet: &Sheet) -> Vec<(usize, String, String)> {
    let row = |row: &Row| {
        let bytes = String::from_utf8(sheet.bytes(row)).unwrap();
        (row.line, row.name.clone(), bytes)
    };
    sheet.rows.iter().map(row).collect()
}

fn refused(text: &str, format: Format, name: Option<&str>) -> (usize, String) {
    let bad = read(text, format, name).unwrap_err();
    assert!(!bad.hint.is_empty());
    (bad.line.unwrap(), bad.message)
}

fn row(line: usize, name: &str, bytes: &str) -> (usize, String, String) {
    (line, name.to_owned(), bytes.to_owned())
}

#[test]
fn a_row_is_the_header_and_itself() {
    let rows = [row(2, "1", "a,b\n1,2\n"), row(3, "3", "a,b\n3,4\n")];
    assert_eq!(csv("a,b\n1,2\n3,4\n", "{a}"), rows);
    assert_eq!(csv("a,b\n1,2\n3,4", "{a}"), rows, "without an end");
    assert_eq!(csv("\u{feff}a,b\r\n1,2\r\n3,4\r\n", "{a}"), rows);
    let rows = [row(3, "1", "a,b\n1,2\n"), row(6, "3", "a,b\n3,4\n")];
    assert_eq!(csv("a,b\n\n1,2\n\r\n\n3,4\n\n", "{a}"), rows, "empty lines");
    assert_eq!(csv("a\n", "{a}"), []);
}

#[test]
fn quotes_stay_as_they_are() {
    assert_eq!(
        csv("a,b\n\"x, \"\"y\"\"\",\"1\n2\"\nz,3\n", "{a}"),
        [
            row(2, "x, \"y\"", "a,b\n\"x, \"\"y\"\"\",\"1\n2\"\n"),
            row(4, "z", "a,b\nz,3\n")
        ]
    );
    let tsv = read("a\tb\n\"x\ty\"\n", Format::Tsv, Some("{a}{b}")).unwrap();
    assert_eq!(shown(&tsv), [row(2, "\"xy\"", "a\tb\n\"x\ty\"\n")]);
}

#[test]
fn rows_of_json_need_no_header() {
    let text = "\u{feff}{\"a\": 1, \"b\": \"x\"}\r\n\n{\"b\":\"y\",\"a\":true}";
    let sheet = read(text, Format::JsonLines, Some("{a}-{b}")).unwrap();
    let rows = [
        row(1, "1-x", "{\"a\": 1, \"b\": \"x\"}\n"),
        row(3, "true-y", "{\"b\":\"y\",\"a\":true}\n"),
    ];
    assert_eq!(shown(&sheet), rows);
}

#[test]
fn without_a_name_a_row_is_known_by_its_text() {
    let sheet = read("a\n1\n2\n", Format::Csv, None).unwrap();
    let names =
        |sheet: &Sheet| -> Vec<String> { sheet.rows.iter().map(|row| row.name.clone()).collect() };
    let other = read("a\n2\n0\n1\n", Format::Csv, None).unwrap();
    assert_eq!(names(&sheet)[0], names(&other)[2]);
    assert_eq!(names(&sheet)[1], names(&other)[0]);
    assert!(names(&sheet).iter().all(|name| name.len() == 16));
}

#[test]
fn what_is_wrong_with_a_sheet() {
    let said = |line: usize, message: &str| (line, message.to_owned());
    for (text, name, wrong) in [
        ("", None, said(1, "it is empty, without a header")),
        ("\n\n", None, said(1, "it is empty, without a header")),
        (
            "a,,b\n",
            None,
            said(1, "column 2 of the header has no name"),
        ),
        (
            "a,b,a\n",
            None,
            said(1, "two columns of the header are called `a`"),
        ),
        (
            "a,b\n1,2\n\n3\n",
            None,
            said(4, "1 field in this row, and 2 in the header"),
        ),
        (
            "a,b\n1,2,3\n",
            None,
            said(2, "3 fields in this row, and 2 in the header"),
        ),
        (
            "a,b\n1,2\n",
            Some("{c}"),
            said(1, "the header has no column `c`, which `name` names"),
        ),
        (
            "a,b\n1,2\n1,3\n",
            Some("{a}"),
            said(3, "it has the name `1` of line 2"),
        ),
        ("a\n1\n2\n1\n", None, said(4, "it is the same as line 2")),
    ] {
        assert_eq!(refused(text, Format::Csv, name), wrong, "{text}");
    }
    let bytes = b"a\n1\n\xff\n".to_vec();
    let wanted = Wanted {
        name: None,
        paths: &[].into(),
        folder: "",
    };
    let bad = Sheet::read(bytes, Format::Csv, &wanted).unwrap_err();
    assert_eq!((bad.line, &*bad.message), (Some(3), "it is no UTF-8 text"));
    let json = |text| refused(text, Format::JsonLines, Some("{a}"));
    assert_eq!(json("{\"a\":1}\n[1]\n"), said(2, "it is no JSON object"));
    assert_eq!(
        json("{\"a\":[1]}\n"),
        said(1, "it has no text or number `a`")
    );
    assert!(json("{\"a\":1}\n\n{\n").1.starts_with("it is no JSON: "));
}

/// Line and files of each row.
fn files(sheet: &Sheet) -> Vec<(usize, Vec<&str>)> {
    sheet
        .rows
        .iter()
        .map(|row| (row.line, row.files.iter().map(|file| &**file).collect()))
        .collect()
}

#[test]
fn columns_name_files_from_the_sheets_folder_on() {
    let text = "n,two,one\na,x y.gz,../b\nb,/abs,c\n";
    let sheet = with_paths(text, Format::Csv, Some("{n}"), &["one", "two"]).unwrap();
    assert_eq!(
        files(&sheet),
        [
            (2, vec!["sheets/../b", "sheets/x y.gz"]),
            (3, vec!["sheets/c", "/abs"])
        ]
    );
    let text = "{\"n\": 1, \"one\": \"b\"}\n";
    let sheet = with_paths(text, Format::JsonLines, Some("{n}"), &["one"]).unwrap();
    assert_eq!(files(&sheet), [(1, vec!["sheets/b"])]);
    assert_eq!(&*sheet.columns, ["one".into()]);
}

#[test]
fn what_is_wrong_with_columns_of_files() {
    let said = |text: &str, format| {
        let bad = with_paths(text, format, None, &["one", "two"]).unwrap_err();
        (bad.line.unwrap(), bad.message)
    };
    for (text, line, words) in [
        (
            "one,b\n1,2\n",
            1,
            "the header has no column `two`, which `paths` names",
        ),
        (
            "one,two\n1,2\n3,\n",
            3,
            "`two` is empty, and has to name a file",
        ),
        (
            "one,two\n1,\"a\nb\"\n,4\n",
            4,
            "`one` is empty, and has to name a file",
        ),
    ] {
        assert_eq!(said(text, Format::Csv), (line, words.to_owned()), "{text}");
    }
    for row in ["{\"one\": \"1\"}", "{\"one\": \"1\", \"two\": 2}"] {
        let wrong = (
            1,
            "it has no text `two`, which has to name a file".to_owned(),
        );
        assert_eq!(said(row, Format::JsonLines), wrong);
    }
}

/// A row would be read without the mark that the sheet has amid it.
#[test]
fn a_byte_order_mark_stands_at_the_start() {
    let said = refused("\n\u{feff}a,b\n1,2\n", Format::Csv, None);
    let message = "a byte order mark stands before the header, and not at the start";
    assert_eq!(said, (2, message.to_owned()));
    assert_eq!(csv("\u{feff}\na\n1\n", "{a}"), [row(3, "1", "a\n1\n")]);
}
