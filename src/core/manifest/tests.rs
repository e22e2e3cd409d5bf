use super::Manifest;

#[test]
fn the_least_manifest() {
    let manifest = Manifest::parse("[[step]]\nname='a'\nstart=true\nscript=':'").unwrap();
    assert_eq!(manifest.start().name.as_str(), "a");
}
