import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

/// What a selection must not lose, take away or mix up without a word.
@Suite struct SelectionSafetyTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let sentence =
        "Whoever counts the swallows over the old harbour in spring knows how late the boats come home"
    private static let korean = "봄날의 오래된 항구 위에서 제비를 세는 사람은 배가 얼마나 늦게 돌아오는지 잘 알고 있습니다"

    private func line(_ text: String, _ others: String = "") -> String {
        "{\"text\": \(JSON.string(text).text)\(others)}\n"
    }

    private func settings(_ change: (inout SelectionSettings) -> Void = { _ in }) -> SelectionSettings {
        var settings = SelectionSettings()
        (settings.rules, settings.dropsDuplicates, settings.dropsNearDuplicates) = ([], false, false)
        change(&settings)
        return settings
    }

    private func selection(_ files: [String], _ settings: SelectionSettings) throws -> TextSelection {
        try TextSelection(of: files, settings, threads: 1, tool: "test", partSize: 1000)
    }

    private func texts(_ name: String) throws -> [String] {
        try String(decoding: folder.bytes(name), as: UTF8.self).split(separator: "\n").map {
            try #require(try JSON(parsing: Array($0.utf8), file: name)["text"]?.string)
        }
    }

    private func refusal(_ body: () throws -> Void) throws -> String {
        try #require(#expect(throws: UserFacingError.self, performing: body)).message
    }

    // MARK: Places

    /// A folder that is no selection's stays as it is, even where outputs are to be replaced.
    @Test(arguments: [false, true])
    func aStrangersFolderStays(replaces: Bool) throws {
        let file = try folder.write("in.jsonl", line("one"))
        let output = folder.path("out.jsonl")
        try FileSystem.create(output + ".run")
        try folder.write("out.jsonl.run/settings.json", "{\"tokens\": 3000}")
        try folder.write("out.jsonl.run/1.jsonl", "kept")
        let message = try refusal {
            _ = try selection([file], settings()).write(to: output, replaces: replaces)
        }
        #expect(message.contains("is not a selection's"), "\(message)")
        #expect(try FileSystem.names(output + ".run") == ["1.jsonl", "settings.json"])
        #expect(!FileSystem.exists(output))
    }

    /// A folder in which a run was stopped before it had begun is taken over.
    @Test func whatAnEarlyStopHasLeftIsTakenOver() throws {
        let file = try folder.write("in.jsonl", line("one"))
        try FileSystem.create(folder.path("out.jsonl.run"))
        try folder.write("out.jsonl.run/lock", "")
        try folder.write("out.jsonl.run/settings.json.partial", "{")
        let report = try selection([file], settings()).write(to: folder.path("out.jsonl"))
        #expect(report.kept == 1 && !FileSystem.exists(folder.path("out.jsonl.run")))
    }

    @Test(arguments: ["out.jsonl.ledger", "out.jsonl.report.json"])
    func aLedgerOrReportIsNotReplacedUnasked(_ name: String) throws {
        let file = try folder.write("in.jsonl", line("one"))
        try folder.write(name, "mine")
        let output = folder.path("out.jsonl")
        let message = try refusal { _ = try selection([file], settings()).write(to: output) }
        #expect(message.contains("\(name) exists"), "\(message)")
        #expect(try folder.bytes(name) == Array("mine".utf8))
        _ = try selection([file], settings()).write(to: output, replaces: true)
        #expect(try folder.bytes(name) != Array("mine".utf8))
    }

    /// The ledger of an output stays its own until the new one is whole.
    @Test func aStoppedReplacementLeavesTheOldLedger() throws {
        let file = try folder.write("in.jsonl", (0..<50).map { line("document \($0)") }.joined())
        let output = folder.path("out.jsonl")
        _ = try selection([file], settings()).write(to: output)
        let before = try folder.bytes("out.jsonl.ledger")
        let other = try folder.write("other.jsonl", (0..<60).map { line("another \($0)") }.joined())
        let stop = Guarded(false)
        #expect(throws: UserFacingError.self) {
            _ = try selection([other], settings()).write(
                to: output, replaces: true, isCancelled: { stop.withLock { $0 } },
                progress: { stage, _, _ in if stage == .output { stop.withLock { $0 = true } } })
        }
        #expect(try folder.bytes("out.jsonl.ledger") == before)
        #expect(try texts("out.jsonl").count == 50)
        _ = try selection([other], settings()).write(to: output, replaces: true)
        #expect(try texts("out.jsonl").count == 60)
        #expect(try SelectionLedger(path: output + ".ledger").count == 60)
    }

    /// What is written into a folder that is read whole would be read the next time.
    @Test func anOutputAmongTheTextsIsRefused() throws {
        try FileSystem.create(folder.path("texts"))
        try folder.write("texts/in.jsonl", line("one"))
        for argument in ["texts", "texts/*.jsonl"] {
            let message = try refusal {
                _ = try selection([folder.path(argument)], settings()).write(
                    to: folder.path("texts/out.jsonl"))
            }
            #expect(message.contains("is read whole"), "\(message)")
        }
        #expect(try FileSystem.names(folder.path("texts")) == ["in.jsonl"])
        let message = try refusal {
            _ = try selection([folder.path("texts/in.jsonl")], settings()).write(
                to: folder.path("texts"), replaces: true)
        }
        #expect(message.contains("is a folder"), "\(message)")
        // A single file of the folder reads no other one.
        _ = try selection([folder.path("texts/in.jsonl")], settings()).write(
            to: folder.path("texts/out.jsonl"))
        #expect(try texts("texts/out.jsonl") == ["one"])
    }

    /// A file that is called by its whole path is that one, and a name that several have is none.
    @Test func documentsAreFoundByTheirPath() throws {
        for name in ["a", "b"] { try FileSystem.create(folder.path(name)) }
        let files = try ["a/x.jsonl", "b/x.jsonl", "c.jsonl"].map { try folder.write($0, line($0)) }
        _ = try selection(files, settings()).write(to: folder.path("out.jsonl"))
        let ledger = try SelectionLedger(path: folder.path("out.jsonl.ledger"))
        #expect(try ledger.number(of: files[1] + ":1") == 1)
        #expect(try ledger.number(of: folder.path("a/../b/x.jsonl") + ":1") == 1)
        #expect(try ledger.number(of: "c.jsonl:1") == 2)
        let message = try refusal { _ = try ledger.number(of: "x.jsonl:1") }
        #expect(message.contains("several files"), "\(message)")
    }

    // MARK: Comparing

    /// Evaluation texts are cleaned as documents are, and composed even where documents are not.
    @Test(
        arguments: [[.composed, .controls], [.controls, .html], [], [.composed, .personal]]
            as [SelectionSettings.Cleaning])
    func evaluationsAreFoundHoweverTextsAreCleaned(_ cleaning: SelectionSettings.Cleaning) throws {
        let markup = "<p>Write to \(Self.sentence) &amp; some.body@example.org for more</p>"
        let parts = Self.korean.decomposedStringWithCanonicalMapping
        let file = try folder.write("in.jsonl", line(markup) + line(parts) + line("something else entirely"))
        let against = try folder.write("eval.jsonl", line(markup) + line(Self.korean))
        let report = try selection(
            [file],
            settings {
                $0.cleaning = cleaning
                $0.evaluations = [TextSource(name: "held", path: against)]
            }
        ).write(to: folder.path("out.jsonl"))
        #expect(report.kept == 1 && report.evaluations.first?.found == 2, "\(report.json.text)")
        let isComposed = cleaning.contains(.composed)
        #expect(report.warnings.contains { $0.contains("in parts (NFD") } == !isComposed)
    }

    /// The same text in two forms of Unicode is the same document.
    @Test func formsOfATextAreCopies() throws {
        let file = try folder.write(
            "in.jsonl", line(Self.korean) + line(Self.korean.decomposedStringWithCanonicalMapping))
        let report = try selection(
            [file],
            settings {
                $0.cleaning = [.html]
                $0.dropsDuplicates = true
            }
        ).write(to: folder.path("out.jsonl"))
        #expect(report.kept == 1)
    }

    /// What of the files that documents are compared with is not read is said, with the first line.
    @Test func whatIsNotReadOfAnEvaluationIsSaid() throws {
        let file = try folder.write("in.jsonl", line(Self.sentence) + "{\"no\": 1}\n")
        try FileSystem.create(folder.path("evals"))
        try folder.write("evals/a.jsonl", line(Self.sentence) + "{\"text\": 7}\n")
        try folder.write("evals/b.csv", "text")
        let report = try selection(
            [file],
            settings {
                $0.reading.skipsBadLines = true
                $0.evaluations = [TextSource(name: "held", path: folder.path("evals"))]
            }
        ).write(to: folder.path("out.jsonl"))
        let warnings = report.warnings.joined(separator: "\n")
        #expect(warnings.contains("evaluation held: 1 file passed over that is no text"), "\(warnings)")
        #expect(
            warnings.contains("evaluation held: 1 line passed over that can't be used; the first: "),
            "\(warnings)")
        #expect(warnings.contains("a.jsonl, line 2") && warnings.contains("in.jsonl, line 2"), "\(warnings)")
    }

    /// How texts are read is part of what a selection is.
    @Test func otherWaysOfReadingAreOtherSelections() throws {
        let file = try folder.write("in.jsonl", line(Self.korean.decomposedStringWithCanonicalMapping))
        let output = folder.path("out.jsonl")
        let plain = settings { $0.cleaning = [] }
        _ = try selection([file], plain).write(to: output)
        #expect(try selection([file], plain).isFinished(at: output))
        for change in [\SelectionSettings.reading.composes, \.reading.isPlain] {
            var other = plain
            other[keyPath: change] = true
            let message = try refusal { _ = try selection([file], other).isFinished(at: output) }
            #expect(message.contains("was chosen otherwise"), "\(message)")
        }
    }

    /// Documents of another time take nothing away from those that are kept.
    @Test func paragraphsOfOldDocumentsDontCount() throws {
        let shared =
            "A paragraph that stands in both of the documents and is long enough to count as one of them."
        let file = try folder.write(
            "in.jsonl",
            line("\(shared)\n\nOld.", ", \"date\": \"2010-01-01\"")
                + line("\(shared)\n\nNew.", ", \"date\": \"2024-01-01\""))
        var dates = DocumentDates(field: "date")
        dates.since = CalendarDay(year: 2020, month: 1, day: 1)
        for (name, change) in [
            ("paragraphs", { (settings: inout SelectionSettings) in settings.dropsParagraphs = true }),
            ("boilerplate", { $0.boilerplate = 2 }),
        ] {
            let chosen = settings {
                $0.dates = dates
                change(&$0)
            }
            _ = try selection([file], chosen).write(to: folder.path("\(name).jsonl"))
            #expect(try texts("\(name).jsonl") == ["\(shared)\n\nNew."], "\(name)")
        }
    }

    // MARK: Columns, shares and dates

    private static func table(_ name: String) -> String {
        URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../../FormatsTests/Fixtures/Parquet/\(name).parquet"
        ).standardizedFileURL.path()
    }

    @Test func columnsThatNoFileHasAreRefused() throws {
        let message = try refusal {
            _ = try selection([Self.table("plain")], settings { $0.columns = ["titel"] })
        }
        #expect(message.contains("titel") && message.contains("small"), "\(message)")
        let file = try folder.write("in.jsonl", line("one"))
        let none = try refusal { _ = try selection([file], settings { $0.columns = ["day"] }) }
        #expect(none.contains("columns are those of Parquet files"), "\(none)")
    }

    /// What documents are chosen by is read, whatever columns come along.
    @Test func columnsDontHideDates() throws {
        var dates = DocumentDates(field: "day")
        dates.since = CalendarDay(year: 1970, month: 4, day: 1)
        let report = try selection(
            [Self.table("plain")],
            settings { ($0.dates, $0.columns, $0.dropsDuplicates) = (dates, ["small"], false) }
        ).write(to: folder.path("out.jsonl"))
        #expect(report.kept == 30 && report.warnings.isEmpty, "\(report.warnings)")
    }

    @Test(arguments: [
        (0.07, 100, 7), (0.14, 50, 7), (0.55, 100, 55), (0.071, 100, 8), (1, 3, 3), (1e-9, 5, 1),
    ])
    func aShareIsNotRoundedUpTwice(_ share: Double, _ count: Int, _ chosen: Int) {
        #expect(Allowance(.share(share), of: count).left == chosen)
    }

    @Test(arguments: [
        ("1715939999", "2024-05-17"), ("1715939999000", "2024-05-17"), ("1715939999000001", "2024-05-17"),
        ("1715939999000000001", "2024-05-17"), ("20240517", "2024-05-17"), ("2024", "2024-01-01"),
        ("2024.0", "2024-01-01"), ("31536000000", nil), ("99999999", nil), ("-5", nil), ("20241301", nil),
    ])
    func numbersAreDatesInOneWayOnly(_ number: String, _ day: String?) throws {
        let value = try JSON(parsing: Array(number.utf8), file: "")
        #expect(CalendarDay(value)?.description == day)
    }

    // MARK: What is asked for

    @Test func contradictionsAreRefused() throws {
        func message(_ change: (inout SelectionJob) -> Void) throws -> String {
            var job = SelectionJob()
            job.data = ["in.jsonl"]
            change(&job)
            return try refusal { try job.check(prefix: "--") }
        }
        #expect(
            try message {
                ($0.languageSamples, $0.language) = ([TextSource(path: "b.jsonl")], ["b.jsonl"])
            }.contains("say of which language it is, as in ko=b.jsonl"))
        #expect(
            try message {
                ($0.triples, $0.templates, $0.textKey) = (["t.tsv"], "t.yaml", "subject")
            }.contains("--text-key subject"))
        #expect(try message { $0.rule = ["empty=1", "empty=2"] }.contains("--rule empty is there twice"))
        #expect(
            try message { ($0.rule, $0.without) = (["empty=1"], ["empty"]) }.contains("--rule empty is there")
        )
        for since in ["2015-06-01T23:59:59 whatever", "2015-06-01 10:00"] {
            #expect(
                try message { ($0.dateField, $0.since) = ("date", since) }.contains(
                    "--since is a day, a month"))
        }
        let name = try refusal { try TextSelection.checkName(ofOutput: "chosen.gz") }
        #expect(name.contains("ends in .jsonl"), "\(name)")
    }
}
