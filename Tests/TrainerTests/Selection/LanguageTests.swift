import Foundation
import TestSupport
import Testing

@testable import Formats
@testable import Trainer

/// Texts in near languages, written by `Scripts/fixtures/languages.py`.
private struct LanguageFixture {
    /// Of each language a sample, and texts that are not in it.
    let languages: [(name: String, sample: [String], texts: [String])]

    init() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../Fixtures/languages.json").standardized.path()
        languages = try #require(try JSON.read(path: path)["languages"]?.object).map { name, language in
            (
                name, language["sample"]?.array?.compactMap(\.string) ?? [],
                language["texts"]?.array?.compactMap(\.string) ?? []
            )
        }
        #expect(languages.count == 6 && languages.allSatisfy { $0.sample.count > 50 && $0.texts.count == 8 })
    }
}

@Suite struct LanguageTests {
    private let fixture: LanguageFixture
    let folder: TemporaryFolder

    init() throws {
        (fixture, folder) = (try LanguageFixture(), try TemporaryFolder())
        for language in fixture.languages {
            try folder.write("\(language.name).jsonl", lines(language.sample))
        }
    }

    private func lines(_ texts: [String]) -> String {
        texts.map { "{\"text\": \(JSON.string($0).text)}\n" }.joined()
    }

    private func sources(_ names: [String]) -> [TextSource] {
        names.map { TextSource(name: $0, path: folder.path("\($0).jsonl")) }
    }

    private func identifier(_ names: [String]) throws -> LanguageIdentifier {
        try LanguageIdentifier(sources(names), SelectionSettings())
    }

    @Test func tellsNearLanguagesApart() throws {
        let names = fixture.languages.map(\.name)
        let all = try identifier(names)
        var (right, wrong, foreign) = (0, 0, 0)
        for (number, language) in fixture.languages.enumerated() {
            let others = try identifier(names.filter { $0 != language.name })
            for text in language.texts {
                let finding = all.find(in: Array(text.utf8))
                right += finding.main == number ? 1 : 0
                wrong += finding.main != nil && finding.main != number ? 1 : 0
                foreign += others.find(in: Array(text.utf8)).main == nil ? 1 : 0
            }
        }
        // Texts of 150 characters and samples of 8,000, of 48 texts.
        #expect(right >= 46 && wrong == 0, "\(right) right, \(wrong) wrong")
        #expect(foreign >= 36, "\(foreign) of a language without a sample known as such")
    }

    @Test func leavesShortTextsUndecided() throws {
        let identifier = try identifier(["da", "sv"])
        for text in ["", "1234 5678 (90) …", "Sätt in en rad", "NN"] {
            let finding = identifier.find(in: Array(text.utf8))
            #expect(finding.decided == 0 && finding.main == nil, "\(text)")
        }
        let korean = identifier.find(in: Array("한국어 문장을 여기에 적어 두었습니다. 이것은 시험입니다.".utf8))
        #expect(korean.unknown > 20 && korean.decided == korean.unknown && korean.main == nil)
    }

    @Test func findsTheSharesOfATextInTwo() throws {
        let identifier = try identifier(["de", "es", "nl"])
        let languages = ["de", "es"].compactMap { name in fixture.languages.first { $0.name == name } }
        let text = languages.map { $0.texts.joined(separator: " ") }.joined(separator: "\n")
        let finding = identifier.find(in: Array(text.utf8))
        #expect(finding.share(of: 0) > 0.35 && finding.share(of: 1) > 0.35 && finding.share(of: 2) == 0)
        // Capital letters are the same to it, and so is what stands between letters.
        let loud = identifier.find(in: Array(text.uppercased().replacing(" ", with: "  12 – ").utf8))
        #expect(abs(loud.share(of: 0) - finding.share(of: 0)) < 0.15)
    }

    private func settings(_ wanted: [LanguageChoice.Wanted], _ names: [String]) -> SelectionSettings {
        var settings = SelectionSettings()
        settings.rules = []
        settings.language = LanguageChoice(samples: sources(names), wanted: wanted)
        return settings
    }

    @Test func keepsDocumentsByLanguage() throws {
        let names = ["da", "de", "es"]
        let texts = ["da", "de", "nl"].flatMap { name in
            fixture.languages.first { $0.name == name }.map { Array($0.texts.prefix(3)) } ?? []
        }
        let mixed =
            try #require(fixture.languages.first { $0.name == "de" }).texts.joined(separator: " ").prefix(400)
            + " "
            + #require(fixture.languages.first { $0.name == "es" }).texts.joined(separator: " ").prefix(800)
        let file = try folder.write("in.jsonl", lines(texts + ["kurz", String(mixed)]))
        func selected(
            _ wanted: [LanguageChoice.Wanted], threads: Int = 2, partSize: Int = 300, as name: String
        ) throws -> SelectionReport {
            try TextSelection(
                of: [file], settings(wanted, names), threads: threads, tool: "test", partSize: partSize
            ).write(to: folder.path(name))
        }
        let report = try selected([.init(name: "de")], as: "german.jsonl")
        let ledger = try SelectionLedger(path: folder.path("german.jsonl.ledger"))
        let fates = try (0..<ledger.count).map { try ledger.fate(of: $0) }
        #expect(fates[3..<6].allSatisfy { $0.reason == nil && $0.language == nil })
        #expect(
            fates[..<3].allSatisfy { $0.reason == "other_language" && $0.language == "da" && $0.score == 0 })
        #expect(fates[6..<9].allSatisfy { $0.reason == "other_language" })
        #expect(fates[6..<9].contains { $0.language == "unknown" })
        #expect(fates[9].reason == "undecided_language")
        #expect(fates[10].reason == "other_language" && fates[10].language == "es")
        #expect(try #require(fates[10].score) > 0.2 && fates[10].limit == 0.5 && fates[10].isLeast)
        #expect(report.kept == 3 && report.languages.first { $0.name == "da" }?.documents == 3)
        #expect(report.languages.reduce(0) { $0 + $1.documents } == 10)
        // The same however it is divided; a smaller share, and one of two languages.
        _ = try selected([.init(name: "de")], threads: 1, partSize: 1 << 20, as: "one.jsonl")
        #expect(try folder.bytes("german.jsonl") == folder.bytes("one.jsonl"))
        #expect(try reportOfAnyParts(folder, "german.jsonl") == reportOfAnyParts(folder, "one.jsonl"))
        #expect(try selected([.init(name: "de", share: 0.2)], as: "less.jsonl").kept == 4)
        #expect(try selected([.init(name: "de"), .init(name: "da")], as: "two.jsonl").kept == 6)
    }

    @Test func refusesSmallSamples() throws {
        try folder.write("xx.jsonl", lines(["zu wenig"]))
        let error = #expect(throws: UserFacingError.self) { try identifier(["de", "xx"]) }
        #expect(
            error?.message.contains("'xx' has 8 letters, and 2,000 are the least") == true,
            "\(error?.message ?? "")")
    }
}
