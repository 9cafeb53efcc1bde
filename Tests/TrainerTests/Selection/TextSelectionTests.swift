import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

@Suite struct TextSelectionTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Words that hardly two texts have in common.
    private func passage(_ seed: Int, words: Int = 60) -> String {
        var generator = MersenneTwister(seed: UInt32(seed + 1))
        // Without digits and without what a word's rules would divide.
        let letters = Array("bcdfgjlnpqrvxz")
        let list = (0..<words).map { _ in
            let number = generator.next(from: 0, below: 1 << 40)
            return String((0..<6).map { letters[Int(number >> ($0 * 5)) % letters.count] })
        }
        return list.joined(separator: " ")
    }

    private func hangul(_ count: Int, spaceEvery: Int, _ generator: inout MersenneTwister) -> String {
        var text = String.UnicodeScalarView()
        for index in 1...count {
            let syllable = UInt32(generator.next(from: 0, below: 1 << 40) % 11_172)
            text.append(index % spaceEvery == 0 ? " " : Unicode.Scalar(0xAC00 + syllable) ?? "가")
        }
        return String(text)
    }

    private func line(_ text: String, extra: String = "") -> String {
        "{\"text\": \(JSON.string(text).text)\(extra)}\n"
    }

    /// Files with copies, near-copies and short texts among them, and what has become of each document.
    private func corpus() throws -> (files: [String], documents: [String]) {
        var documents = (0..<40).map { passage($0) }
        documents[7] = documents[2]
        documents[9] = documents[3] + " more"
        documents[11] = documents[9] + " words"
        documents[12] = "short"
        documents[20] = ""
        documents[39] = documents[2]
        let halves = [documents[..<23], documents[23...]].map { $0.map { line($0) }.joined() }
        let files = try [folder.write("a.jsonl", halves[0]), folder.write("b.jsonl", halves[1])]
        return (files, documents)
    }

    private func settings(_ change: (inout SelectionSettings) -> Void = { _ in }) -> SelectionSettings {
        var settings = SelectionSettings()
        settings.rules = SelectionRule.published.filter { $0.name == "gopher_short_doc" }
        change(&settings)
        return settings
    }

    private func selection(
        _ files: [String], _ settings: SelectionSettings, threads: Int = 2, partSize: Int = 3000
    ) throws -> TextSelection {
        try TextSelection(of: files, settings, threads: threads, tool: "test", partSize: partSize)
    }

    private func texts(_ name: String) throws -> [String] {
        try String(decoding: folder.bytes(name), as: UTF8.self).split(separator: "\n").map {
            try #require(try JSON(parsing: Array($0.utf8), file: name)["text"]?.string)
        }
    }

    @Test func copiesGoAndTheLedgerSaysWhy() throws {
        let (files, documents) = try corpus()
        let report = try selection(files, settings()).write(to: folder.path("out.jsonl"))
        let dropped = [
            7: "duplicate_document", 9: "near_duplicate", 11: "near_duplicate", 12: "gopher_short_doc",
            20: "gopher_short_doc", 39: "duplicate_document",
        ]
        let ledger = try SelectionLedger(path: folder.path("out.jsonl.ledger"))
        #expect(ledger.count == 40)
        for number in 0..<ledger.count {
            let fate = try ledger.fate(of: number)
            #expect(fate.reason == dropped[number], "document \(number)")
            #expect(fate.file == files[number < 23 ? 0 : 1])
            #expect(fate.line == (number < 23 ? number : number - 23) + 1)
            #expect(try ledger.number(of: "\(fate.file):\(fate.line)") == number)
        }
        #expect(try ledger.fate(of: 7).equal == 2)
        #expect(try ledger.fate(of: 39).equal == 2)
        #expect(try ledger.fate(of: 11).equal == 3)
        #expect(try ledger.fate(of: 12).score == 1)
        #expect(try ledger.fate(of: 12).limit == 50)
        #expect(try ledger.way(of: 39).map(\.number) == [39, 2])
        let kept = documents.indices.filter { dropped[$0] == nil }.map { documents[$0] }
        #expect(try texts("out.jsonl") == kept)
        #expect(report.documents == 40 && report.kept == 34)
        #expect(report.reasons.first { $0.name == "near_duplicate" }?.documents == 2)
        #expect(
            try folder.names() == [
                "a.jsonl", "b.jsonl", "out.jsonl", "out.jsonl.ledger", "out.jsonl.report.json",
            ])
        #expect(throws: UserFacingError.self) { try ledger.number(of: "c.jsonl:1") }
        #expect(throws: UserFacingError.self) {
            try selection(files, settings()).write(to: folder.path("out.jsonl"))
        }
    }

    @Test func theOutputIsTheSameHoweverItIsMade() throws {
        let (files, _) = try corpus()
        _ = try selection(files, settings()).write(to: folder.path("one.jsonl"))
        for (name, threads, partSize) in [("two.jsonl", 1, 1 << 20), ("three.jsonl", 5, 700)] {
            _ = try selection(files, settings(), threads: threads, partSize: partSize).write(
                to: folder.path(name))
            #expect(try folder.bytes(name) == folder.bytes("one.jsonl"))
            #expect(try reportOfAnyParts(folder, name) == reportOfAnyParts(folder, "one.jsonl"))
        }
    }

    @Test func aStoppedRunGoesOn() throws {
        let (files, _) = try corpus()
        _ = try selection(files, settings()).write(to: folder.path("whole.jsonl"))
        for limit in [3, 25, 45, 40] {
            let asked = Counter()
            let output = folder.path("cut.jsonl")
            #expect(throws: UserFacingError.self) {
                try selection(files, settings()).write(to: output, isCancelled: { asked.next() > limit })
            }
            #expect(!FileSystem.exists(output))
            #expect(FileSystem.kind(of: output + ".run") == .folder)
            // Other settings are refused before anything is done.
            #expect(throws: UserFacingError.self) {
                try selection(files, settings { $0.dropsNearDuplicates = false }).write(to: output)
            }
        }
        _ = try selection(files, settings(), threads: 1).write(to: folder.path("cut.jsonl"))
        for ending in ["", ".ledger", ".report.json"] {
            #expect(try folder.bytes("cut.jsonl\(ending)") == folder.bytes("whole.jsonl\(ending)"))
        }
    }

    @Test func linesKeepTheirOtherKeys() throws {
        let text = passage(1)
        let file = try folder.write(
            "a.jsonl",
            "\u{FEFF}{\"id\": 1.50, \"text\" : \"\(text)\\u0000\\u00e9\", \"x\": [NaN]}  \r\n\n"
                + line(passage(2)))
        try folder.write("b.txt", passage(3))
        _ = try selection([file, folder.path("b.txt")], settings()).write(to: folder.path("out.jsonl"))
        let lines = String(decoding: try folder.bytes("out.jsonl"), as: UTF8.self).split(separator: "\n").map(
            String.init)
        #expect(lines.count == 3)
        #expect(lines[0] == "{\"id\": 1.50, \"text\" : \"\(text)é\", \"x\": [NaN]}")
        #expect(lines[1] + "\n" == line(passage(2)))
        #expect(lines[2] == "{\"text\":\"\(passage(3))\"}")
        let ledger = try SelectionLedger(path: folder.path("out.jsonl.ledger"))
        #expect(try ledger.fate(of: 0).isChanged)
        #expect(try ledger.fate(of: 1).line == 3)
    }

    @Test func badLinesArePassedOverAndCounted() throws {
        let file = try folder.write("a.jsonl", line(passage(1)) + "{\"text\": 3}\nno\n" + line(passage(2)))
        #expect(throws: UserFacingError.self) {
            try selection([file], settings()).write(to: folder.path("out.jsonl"))
        }
        var lenient = SelectionSettings(reading: TextOptions(skipsBadLines: true))
        lenient.rules = []
        let report = try selection([file], lenient).write(to: folder.path("more.jsonl"))
        #expect(report.documents == 2)
        #expect(report.json["skipped_lines"]?.int == 2)
        #expect(try SelectionLedger(path: folder.path("more.jsonl.ledger")).fate(of: 1).line == 4)
    }

    @Test func boilerplateAndParagraphsAreTakenAway() throws {
        let shared = "Subscribe to our newsletter"
        let paragraph = passage(50, words: 10)
        let texts = (0..<6).map { number in
            "\(passage(number))\n\(number < 4 ? shared : "own line \(number)")\n\n\(number % 2 == 0 ? paragraph : passage(60 + number, words: 10))"
        }
        let file = try folder.write("a.jsonl", texts.map { line($0) }.joined())
        let report = try selection(
            [file], settings { ($0.boilerplate, $0.dropsParagraphs, $0.rules) = (4, true, []) },
            partSize: 1500
        ).write(to: folder.path("out.jsonl"))
        let kept = try self.texts("out.jsonl")
        #expect(kept.count == 6)
        #expect(kept.allSatisfy { !$0.contains(shared) })
        #expect(kept[4].contains("own line 4"))
        #expect(kept.map { $0.contains(paragraph) } == [true, false, false, false, false, false])
        #expect(kept[2] == passage(2))
        #expect(report.json["cleaned"]?["boilerplate_lines"]?.int == 4)
        #expect(report.json["cleaned"]?["repeated_paragraphs"]?.int == 2)
        // One document less than asked for, and nothing goes.
        _ = try selection([file], settings { ($0.boilerplate, $0.rules) = (5, []) }).write(
            to: folder.path("five.jsonl"))
        #expect(try self.texts("five.jsonl").count { $0.contains(shared) } == 4)
    }

    @Test func textsOfEvaluationsAreFound() throws {
        let english = (0..<20).map { passage(100 + $0, words: 5 + $0) }
        let korean = (0..<20).map { number in
            var generator = MersenneTwister(seed: UInt32(500 + number))
            return hangul(10 + number * 2, spaceEvery: 4, &generator)
        }
        var documents = (0..<60).map { passage($0) + ". " + passage($0 + 200) }
        for (number, text) in (english + korean).enumerated() {
            documents[number] =
                passage(number) + ", " + text.uppercased().replacing(" ", with: "  ") + "! "
                + passage(number + 200)
        }
        let file = try folder.write("a.jsonl", documents.map { line($0) }.joined())
        let tests = try ["en": english, "ko": korean].map { name, texts in
            let lines = (texts + ["too short"]).map { "{\"q\": \(JSON.string($0).text)}\n" }.joined()
            return TextSource(name: name, path: try folder.write("\(name).jsonl", lines))
        }.sorted { $0.name < $1.name }
        let report = try selection(
            [file],
            settings {
                ($0.rules, $0.evaluations, $0.evaluationKey, $0.dropsNearDuplicates) = ([], tests, "q", false)
            }
        ).write(to: folder.path("out.jsonl"))
        let ledger = try SelectionLedger(path: folder.path("out.jsonl.ledger"))
        for number in documents.indices {
            let fate = try ledger.fate(of: number)
            #expect(fate.reason == (number < 40 ? "contamination" : nil), "document \(number)")
            #expect(fate.set == (number < 20 ? "en" : number < 40 ? "ko" : nil))
        }
        #expect(report.evaluations.map(\.name) == ["en", "ko"])
        #expect(
            report.evaluations.allSatisfy {
                $0.found == 20 && $0.texts == 20 && $0.tooShort == 1 && $0.documents == 20 && $0.share == 1
            })
    }

    /// Of a text's runs half suffices, and less doesn't.
    @Test(arguments: [(20, false), (40, true)])
    func aPartOfAnEvaluationCounts(words: Int, isDropped: Bool) throws {
        let question = passage(7, words: 60)
        let part = question.split(separator: " ").prefix(words).joined(separator: " ")
        let file = try folder.write("a.jsonl", line(passage(1) + " " + part))
        let test = TextSource(name: "t", path: try folder.write("t.jsonl", line(question)))
        let report = try selection([file], settings { ($0.rules, $0.evaluations) = ([], [test]) })
            .write(to: folder.path("out.jsonl"))
        #expect(report.kept == (isDropped ? 0 : 1))
        #expect(abs((report.evaluations.first?.share ?? 0) - Double(words - 12) / 48) < 1e-9)
    }

    @Test func personalDataDropDocuments() throws {
        let file = try folder.write("a.jsonl", line(passage(1) + " me@example.org") + line(passage(2)))
        let report = try selection(
            [file], settings { ($0.cleaning, $0.dropsPersonal) = ([.personal], true) }
        ).write(to: folder.path("out.jsonl"))
        #expect(report.reasons.first { $0.name == "personal_data" }?.documents == 1)
        #expect(try texts("out.jsonl") == [passage(2)])
    }

    /// Mostly Hangul is compared by characters, whatever its spaces, and rules for English leave it.
    @Test func hangulIsComparedByCharacters() throws {
        var generator = MersenneTwister(seed: 4)
        let text = hangul(400, spaceEvery: 3, &generator)
        let file = try folder.write("a.jsonl", line(text) + line(text.replacing(" ", with: "") + "."))
        var chosen = SelectionSettings()
        chosen.rules = SelectionRule.published.filter {
            ["gopher_enough_stop_words", "gopher_below_avg_threshold"].contains($0.name)
        }
        let report = try selection([file], chosen).write(to: folder.path("out.jsonl"))
        #expect(report.kept == 1)
        #expect(report.reasons.first { $0.name == "near_duplicate" }?.documents == 1)
    }

    /// By the columns of a file that pyarrow has written: 120 rows, a day each from 1970 on.
    @Test func rowsOfATableBringTheirColumnsAlong() throws {
        let table = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../../FormatsTests/Fixtures/Parquet/dictionary-snappy.parquet"
        ).standardizedFileURL.path()
        var chosen = settings { ($0.rules, $0.dropsDuplicates, $0.dropsNearDuplicates) = ([], false, false) }
        var dates = DocumentDates(field: "day")
        (dates.since, dates.until) = (
            CalendarDay(year: 1970, month: 2, day: 1), CalendarDay(year: 1970, month: 3, day: 31)
        )
        chosen.dates = dates
        let report = try selection([table], chosen).write(to: folder.path("out.jsonl"))
        let rows = try String(decoding: folder.bytes("out.jsonl"), as: UTF8.self).split(separator: "\n").map {
            try JSON(parsing: Array($0.utf8), file: "out.jsonl")
        }
        #expect(report.kept == 59 && rows.count == 59)
        for (place, row) in rows.enumerated() {
            let number = place + 31
            #expect(row["small"]?.int == number - 60 && row["flag"] == .bool(number % 3 == 0))
            #expect(row["text"]?.string?.isEmpty == (number % 10 == 3))
            #expect(row["data"]?["body"]?.string == (number % 11 == 5 ? nil : "body \(number)"))
        }
        #expect(rows[0]["day"]?.string == "1970-02-01" && rows[58]["day"]?.string == "1970-03-31")
        let left = "its columns blob, words.list.element, price, id can't be read"
        #expect(report.warnings.contains { $0.contains(left) }, "\(report.warnings)")
        chosen.columns = ["data", "day"]
        let named = try selection([table], chosen).write(to: folder.path("named.jsonl"))
        let first = try String(decoding: folder.bytes("named.jsonl"), as: UTF8.self).prefix { $0 != "\n" }
        #expect(try JSON(parsing: Array(first.utf8), file: "").object?.keys == ["text", "data", "day"])
        #expect(named.warnings.isEmpty, "\(named.warnings)")
    }

    @Test func aBrokenLedgerIsRefused() throws {
        let (files, _) = try corpus()
        _ = try selection(files, settings()).write(to: folder.path("out.jsonl"))
        let bytes = try folder.bytes("out.jsonl.ledger")
        for broken in [
            Array(bytes.dropLast()), Array(bytes.prefix(12)), [], Array("TRLEDGES".utf8) + bytes.dropFirst(8),
        ] {
            let path = try folder.write("broken.ledger", broken)
            #expect(throws: UserFacingError.self) { try SelectionLedger(path: path) }
        }
    }
}
