import Formats
import Foundation
import Synchronization
import TestSupport
import Testing

/// Texts with what datatrove makes of them, written by `Scripts/fixtures/selection.py`.
struct SelectionFixture {
    /// A text.
    struct Case {
        let name: String
        let text: [UInt8]
        let words: [String]?
        let simplified: String?
        /// The reason that each filter gives; nil where it keeps the text.
        let verdicts: [String: String?]
        let signature: [UInt64]?
    }

    let cases: [Case]

    init() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../Fixtures/selection.json").standardized.path()
        let json = try JSON.read(path: path)
        cases = try #require(json["cases"]?.array).map { json in
            var verdicts: [String: String?] = [:]
            for (group, reason) in try #require(json["verdicts"]?.object) {
                verdicts[group] = .some(reason.string)
            }
            return Case(
                name: try #require(json["name"]?.string),
                text: Array(try #require(json["text"]?.string).utf8),
                words: json["words"]?.array?.compactMap(\.string), simplified: json["simplified"]?.string,
                verdicts: verdicts,
                signature: json["signature"]?.array?.compactMap { $0.string.flatMap { UInt64($0) } })
        }
        #expect(cases.count > 25)
    }
}

/// Counts up, from any thread.
final class Counter: Sendable {
    private let count = Atomic(0)
    func next() -> Int { count.wrappingAdd(1, ordering: .relaxed).newValue }
}

/// A selection's report without the hash of its ledger, which knows the parts that texts were divided into.
func reportOfAnyParts(_ folder: TemporaryFolder, _ output: String) throws -> JSON {
    var report = try JSON.read(path: folder.path("\(output).report.json"))
    report["ledger_sha256"] = .null
    return report
}
