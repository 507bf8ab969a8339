//! `emocam report`: runs as a page.

use crate::common::browser::Browser;
use crate::common::corpus::{Corpus, Run, Table, emocam, ends, files_below, refused};
use crate::common::invented::{invent_records, invented};
use emocam::run::journal::RecordWriter;
use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn report(run: &Run) -> Command {
    let mut command = emocam();
    command.arg("report").arg(&run.folder);
    command
}

fn page(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// What an HTML text says.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// All pages of a report.
fn pages(folder: &Path) -> Vec<PathBuf> {
    files_below(folder)
        .iter()
        .filter(|name| name.ends_with(".html"))
        .map(|name| folder.join(name))
        .collect()
}

/// Every link and source of a page leads somewhere: to a file, and in it to the anchor.
fn assert_links(folder: &Path) -> usize {
    let links = Regex::new(r#"(?:href|src)="([^"]*)""#).unwrap();
    let mut count = 0;
    for path in pages(folder) {
        for link in links.captures_iter(&page(&path)) {
            let link = unescaped(&link[1]);
            if link.starts_with("data:image/jpeg;base64,") {
                continue;
            }
            assert!(!link.contains(':'), "{link} leaves the report");
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target =
                if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.is_file(), "{}: {link} leads nowhere", path.display());
            if !anchor.is_empty() {
                assert!(
                    page(&target).contains(&format!("id=\"{anchor}\"")),
                    "{}: {link} has no place",
                    path.display()
                );
            }
            count += 1;
        }
    }
    count
}

/// The matrix of a page: rows of texts.
fn matrix(html: &str) -> Vec<Vec<String>> {
    let table =
        html.split("<table class=\"heat\">").nth(1).unwrap().split("</table>").next().unwrap();
    let body = table.split("<tbody>").nth(1).unwrap().split("</tbody>").next().unwrap();
    let cell = Regex::new(r"(?s)<t[hd][^>]*>(.*?)</t[hd]>").unwrap();
    let tag = Regex::new(r"<[^>]*>").unwrap();
    let texts = |row: &str| {
        cell.captures_iter(row).map(|of| unescaped(tag.replace_all(&of[1], "").trim())).collect()
    };
    body.split("</tr>").filter(|row| row.contains("<td")).map(texts).collect()
}

#[test]
fn the_page_says_what_the_tables_say_and_every_link_leads_somewhere() {
    let corpus = Corpus::small();
    ends(corpus.analyze("run").args(["--save-maps", "--cam", "grad-cam,ablation-cam"]), 0);
    let run = corpus.run("run");
    let said = ends(&mut report(&run), 0);
    let folder = run.path("report");
    let html = page(&folder.join("index.html"));
    assert!(assert_links(&folder) > 50);
    let photos = files_below(&folder.join("photos"));
    assert!(
        photos.len() > 20 && photos.iter().any(|name| name.ends_with("-small.jpg")),
        "{photos:?}"
    );
    let shown = Regex::new("alt=\"([^\"]*\\.[a-z]+): ").unwrap();
    let shown_on = |path: &PathBuf| {
        shown.captures_iter(&page(path)).map(|of| of[1].to_string()).collect::<Vec<_>>()
    };
    let of: BTreeSet<String> = pages(&folder).iter().flat_map(shown_on).collect();
    assert!(of.len() > 5 && of.len() < photos.len() / 2, "{of:?}");
    assert!(
        said.err.contains(&format!(" with {} pictures of {} photos\n", photos.len() / 2, of.len())),
        "{}",
        said.err
    );
    // The matrix is association.csv, rounded.
    let table = run.table("grad-cam/association.csv");
    let rows = matrix(&html);
    assert!(!rows.is_empty());
    for row in rows {
        let expected = table.rows.iter().find(|found| found[0] == row[0]).unwrap();
        for (found, expected) in row.iter().zip(expected).skip(1) {
            match expected.as_str() {
                "" => assert_eq!(found, ""),
                number => assert_eq!(*found, format!("{:.2}", number.parse::<f64>().unwrap())),
            }
        }
    }
    // No script, nothing from elsewhere, every picture with a text.
    let mut images = 0;
    for path in pages(&folder) {
        let html = page(&path);
        assert!(
            !html.contains("<script")
                && !html.contains("javascript:")
                && html.contains("default-src 'none'")
        );
        assert_eq!(html.matches("<img ").count(), html.matches(" alt=\"").count());
        assert_eq!(html.matches("<table").count(), html.matches("<caption>").count());
        images += html.matches("<img ").count();
    }
    // A photo may be among the strongest and at random too.
    assert!(images >= photos.len() / 2);
    assert!(html.contains("Spearman"), "two methods are compared");
}

#[test]
fn the_same_bytes_for_any_number_of_threads() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    for (threads, out) in [("1", "one"), ("3", "three")] {
        ends(report(&run).arg("--out").arg(corpus.path(out)).env("RAYON_NUM_THREADS", threads), 0);
    }
    let (one, three) = (corpus.path("one"), corpus.path("three"));
    let files = files_below(&one);
    assert_eq!(files, files_below(&three));
    for file in files {
        assert!(
            fs::read(one.join(&file)).unwrap() == fs::read(three.join(&file)).unwrap(),
            "{file} differs"
        );
    }
}

#[test]
fn names_are_text_whatever_they_contain() {
    let corpus = Corpus::empty();
    for name in [
        "<script>alert(1)</script>.png",
        "\"'&quot;.png",
        "new\nline.png",
        "\u{202e}gnp.png",
        "a/x.png",
    ] {
        corpus.add(name, "emonet/picture_0.png");
    }
    let run = corpus.analyzed("run");
    let mut manifest = run.manifest();
    for (place, name) in ["<img src=x onerror=alert(1)>", "a\"b", "</table>"].iter().enumerate() {
        manifest["classes"][place] = serde_json::Value::from(*name);
        manifest["labels"][place] = serde_json::Value::from(format!("<b>{place}</b>"));
    }
    fs::write(run.path("run.json"), manifest.to_string()).unwrap();
    ends(report(&run).args(["--importance", "0"]), 0);
    assert_links(&run.path("report"));
    let allowed: BTreeSet<&str> = [
        "!DOCTYPE", "html", "head", "meta", "title", "style", "body", "a", "h1", "h2", "h3", "h4",
        "nav", "ul", "li", "main", "footer", "p", "section", "div", "table", "caption", "thead",
        "tbody", "tfoot", "tr", "th", "td", "span", "img", "br", "strong", "code", "dl", "dt",
        "dd", "details", "summary", "pre",
    ]
    .into();
    let tags = Regex::new(r"<([!a-zA-Z][a-zA-Z0-9]*)").unwrap();
    let values = Regex::new("\"[^\"]*\"").unwrap();
    let events = Regex::new(r#"<[^>]* on[a-z]+="#).unwrap();
    for path in pages(&run.path("report")) {
        let html = page(&path);
        for tag in tags.captures_iter(&html) {
            assert!(allowed.contains(&tag[1]), "{}: <{}", path.display(), &tag[1]);
        }
        // What stands between quotation marks is text.
        assert!(!events.is_match(&values.replace_all(&html, "\"\"")));
        assert_eq!(html.matches("<img ").count(), html.matches("loading=\"lazy\"").count());
    }
    let html = page(&run.path("report/index.html"));
    assert!(html.contains("&lt;b&gt;0&lt;/b&gt;"), "a label is text");
}

#[test]
fn one_file_holds_everything_within_its_budget() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    ends(report(&run).arg("--embed").arg("--out").arg(corpus.path("single")), 0);
    let single = corpus.path("single");
    assert_eq!(files_below(&single), ["index.html"]);
    assert!(assert_links(&single) > 20);
    let html = page(&single.join("index.html"));
    assert!(html.contains("data:image/jpeg;base64,") && html.len() < 20_000_000);
    // Without photos where they are gone.
    fs::remove_dir_all(corpus.path("photos")).unwrap();
    let said = ends(report(&run).arg("--out").arg(corpus.path("bare")), 0);
    assert!(said.err.contains("no photos: they are not, or no more the same"), "{}", said.err);
    assert!(said.err.contains("bare/index.html without photos"), "{}", said.err);
    assert_links(&corpus.path("bare"));
    refused(report(&run).args(["--top", "0"]), &["--top"]);
    // An earlier report goes, and what somebody else has made stays.
    assert!(single.join("index.html").is_file());
    ends(report(&run).arg("--out").arg(&single), 0);
    assert!(files_below(&single).len() > 1);
    ends(report(&run).arg("--embed").arg("--out").arg(&single), 0);
    assert_eq!(files_below(&single), ["index.html"]);
    corpus.write("mine/index.html", "my page");
    refused(
        report(&run).arg("--out").arg(corpus.path("mine")),
        &["mine holds files that emocam did not make", "index.html"],
    );
    assert_eq!(page(&corpus.path("mine/index.html")), "my page");
}

#[test]
fn a_hundred_thousand_records_make_a_small_page() {
    let corpus = Corpus::empty();
    corpus.add("a.png", "emonet/picture_0.png");
    let run = corpus.analyzed("run");
    invent_records(&run, 12);
    let methods = ["grad-cam".to_string()];
    let mut writer = RecordWriter::open(&run.path("records.jsonl")).unwrap();
    for chunk in 25..100 {
        let records: Vec<_> =
            (0..1000).map(|at| invented(1000 * chunk + at, 12, 601, &methods)).collect();
        writer.append(&records).unwrap();
    }
    drop(writer);
    run.expect_records(100_000);
    let clock = std::time::Instant::now();
    ends(report(&run).args(["--examples", "0"]), 0);
    let html = page(&run.path("report/index.html"));
    eprintln!(
        "a page of {} bytes of 100,000 records in {:.1} s",
        html.len(),
        clock.elapsed().as_secs_f64()
    );
    assert!(html.len() < 2_000_000, "{}", html.len());
    let table: Table = run.table("grad-cam/association.csv");
    assert_eq!(matrix(&html)[0].len(), table.header.len());
    // The last label has no image.
    assert!(
        matrix(&html).iter().all(|row| row[20].is_empty()) && html.contains("<td class=\"none\">")
    );
}

#[test]
fn a_browser_shows_it_without_complaint_and_leads_to_the_photos_by_keyboard_alone() {
    let corpus = Corpus::small();
    ends(corpus.analyze("run").arg("--save-maps"), 0);
    let run = corpus.run("run");
    ends(&mut report(&run), 0);
    ends(report(&run).arg("--embed").arg("--out").arg(corpus.path("single")), 0);
    for width in [360, 1600] {
        let Some(mut browser) = Browser::start(width) else { return };
        for page in [run.path("report/index.html"), corpus.path("single/index.html")] {
            browser.open(&page);
            let overflow = browser.value(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth",
            );
            assert_eq!(overflow, 0, "{} is wider than {width} pixels", page.display());
        }
        browser.open(&run.path("report/index.html"));
        browser.tab_until("element.closest('table.heat td') && element.textContent > '0.00'");
        let share = browser.value("document.activeElement.textContent");
        browser.enter();
        let place = browser.value("location.href");
        assert!(
            place.as_str().unwrap().contains("/class-")
                && place.as_str().unwrap().contains("-label-"),
            "{place}"
        );
        // The numbers of the cell are in the row that it leads to.
        let row = browser.value("document.querySelector(':target').children[3].textContent");
        assert!(row.as_str().unwrap().starts_with(share.as_str().unwrap()), "{row}, {share}");
        let overflow = browser
            .value("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(overflow, 0, "a page of a class is wider than {width} pixels");
        browser.tab_until("element.matches('a') && element.querySelector('img') !== null");
        browser.enter();
        assert!(browser.value("location.href").as_str().unwrap().ends_with(".jpg"));
        assert_eq!(browser.value("document.images[0].naturalWidth > 0"), true);
        assert_eq!(browser.complaints(), [""; 0]);
    }
}

#[test]
fn channels_and_what_lies_outside_all_regions_are_told_where_the_run_knows_them() {
    let corpus = Corpus::small();
    ends(corpus.analyze("run").args(["--filters", "--cam", "grad-cam,object-shap"]), 0);
    let run = corpus.run("run");
    let html_with = |min_images: u64| {
        let mut manifest = run.manifest();
        manifest["configuration"]["association"]["min_images"] = min_images.into();
        fs::write(run.path("run.json"), manifest.to_string()).unwrap();
        ends(report(&run).args(["--examples", "0"]), 0);
        page(&run.path("report/index.html"))
    };
    // No class is in a hundred images.
    let html = html_with(100);
    assert!(html.contains("(background)") && !html.contains("Channels that respond"));
    let html = html_with(1);
    let filters = run.table("grad-cam/filters.csv");
    let best = filters
        .rows
        .iter()
        .filter(|row| row[filters.at("active_images")] != "0")
        .max_by(|a, b| {
            let excess = |row: &[String]| {
                let cell = |name: &str| row[filters.at(name)].parse::<f64>().unwrap();
                cell("share") - cell("area_share")
            };
            excess(a).total_cmp(&excess(b))
        })
        .unwrap();
    let rows = html.split("Channels that respond").nth(1).unwrap();
    let first = rows.split("<tbody>").nth(1).unwrap().split("</tr>").next().unwrap();
    assert!(
        first.contains(&format!("<th scope=\"row\">{}</th><td>{}</td>", best[0], best[1])),
        "{first}, {best:?}"
    );
}

#[test]
fn the_page_says_with_which_settings_the_tables_were_made_and_how_pictures_reach_the_network() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let html = || {
        ends(report(&run).args(["--examples", "0"]), 0);
        page(&run.path("report/index.html"))
    };
    let settings = |html: &str| unescaped(html.split("<summary>All settings").nth(1).unwrap());
    let made = "made the tables in the run with";
    let before = html();
    assert!(settings(&before).contains("\nmin_images = 10\n") && !before.contains(made));
    let input = run.manifest()["input"].clone();
    let sides = [&input["width"], &input["height"]].map(|side| side.as_u64().unwrap());
    let row = format!("<dt>Input</dt><dd>{} x {}, squash</dd>", sides[0], sides[1]);
    assert!(before.contains(&row), "{before}");
    let mut associate = emocam();
    ends(associate.arg("associate").arg(&run.folder).args(["--min-images", "1"]), 0);
    let after = html();
    assert!(
        settings(&after).contains("\nmin_images = 1\n") && after.contains(made),
        "{}",
        settings(&after)
    );
    assert!(
        after.contains("cells that were tested stand out") && !after.contains(" 1 images"),
        "{after}"
    );
    let forest = fs::read_to_string(run.path("grad-cam/forest.svg")).unwrap();
    assert!(forest.contains("important in at least 1 image."), "{forest}");
}

#[test]
fn all_classes_that_are_important_in_the_most_images_are_named() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let mut ties = BTreeSet::new();
    for importance in ["0.05", "0.2", "0.3", "0.4", "0.5", "0.6"] {
        let mut associate = emocam();
        ends(associate.arg("associate").arg(&run.folder).args(["--importance", importance]), 0);
        ends(report(&run).args(["--examples", "0"]), 0);
        let html = unescaped(&page(&run.path("report/index.html")));
        let counts = run.table("grad-cam/counts.csv");
        let (_, rows) = counts.rows.split_last().unwrap();
        let sum = |row: &Vec<String>| {
            row[1..].iter().map(|cell| cell.parse::<u64>().unwrap()).sum::<u64>()
        };
        let most = rows.iter().map(sum).max().unwrap();
        let names: Vec<&str> =
            rows.iter().filter(|row| sum(row) == most).map(|row| row[0].as_str()).collect();
        let sentence = match names.as_slice() {
            _ if most == 0 => continue,
            [one] => {
                format!("{one} is the class that is most often important: in {most} of 15 images")
            }
            [first, second] => {
                format!(
                    "{first} and {second} are the classes that are most often important: each in \
                     {most} of 15 images"
                )
            }
            _ => continue,
        };
        assert!(html.contains(&sentence), "{sentence}: {html}");
        ties.insert(names.len());
    }
    assert!(!ties.is_empty());
}

#[test]
fn a_page_of_a_class_has_no_group_whose_photos_it_has_shown_already() {
    let corpus = Corpus::small();
    let run = corpus.analyzed("run");
    let groups_of = |examples: &str| {
        ends(report(&run).args(["--examples", examples, "--top", "4"]), 0);
        let photo = Regex::new("photos/[0-9]+-small").unwrap();
        let mut counts = Vec::new();
        for path in pages(&run.path("report")).iter().filter(|path| !path.ends_with("index.html")) {
            let mut seen = BTreeSet::new();
            let html = page(path);
            let groups: Vec<&str> = html.split("<h4>").skip(1).collect();
            for group in &groups {
                let before = seen.len();
                seen.extend(photo.find_iter(group).map(|of| of.as_str().to_string()));
                assert!(seen.len() > before, "{}: {group}", path.display());
            }
            counts.push(groups.len());
        }
        counts
    };
    // With fifteen photos of a kind the weakest are all there are, and nothing is left for those at
    // random.
    assert!(groups_of("15").iter().all(|&groups| groups > 0));
    assert!(groups_of("1").iter().all(|&groups| groups > 0));
}
