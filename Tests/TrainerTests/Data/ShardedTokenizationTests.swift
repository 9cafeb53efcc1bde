import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

@Suite struct ShardedTokenizationTests {
    let folder: TemporaryFolder
    let tokenizer: Tokenizer
    private let files = ["data/english.train.jsonl", "data/korean.train.jsonl", "data/english.val.jsonl"]

    init() throws {
        folder = try TemporaryFolder()
        tokenizer = try Tokenizer.open(example("blank"))
    }

    private func tokenization(
        _ files: [String]? = nil, seed: UInt64 = 3, shardBytes: Int = 30_000, threads: Int = 2,
        options: TextOptions = TextOptions()
    ) throws -> ShardedTokenization {
        try ShardedTokenization(
            of: files ?? self.files.map(example), options: options, by: tokenizer, seed: seed,
            shardBytes: shardBytes, threads: threads, tool: "test")
    }

    private func path(_ name: String) -> String { "\(folder.path)/\(name)" }

    /// The bytes of all files of a folder, by name.
    private func contents(_ name: String) throws -> [String: Data] {
        var contents: [String: Data] = [:]
        for file in try FileManager.default.contentsOfDirectory(atPath: path(name)) {
            contents[file] = try Data(contentsOf: URL(filePath: "\(path(name))/\(file)"))
        }
        return contents
    }

    private func documents(_ name: String) throws -> [[Int32]] {
        let packed = try PackedTokens(path: path(name))
        return (0..<packed.count).map { packed.tokens($0) }
    }

    /// The documents of the texts as one packed file has them.
    private func expected() throws -> [[Int32]] {
        let one = try Tokenization(of: files.map(example), by: tokenizer, threads: 1)
        var documents: [[Int32]] = []
        try one.forEachDocument { documents.append($0.tokens) }
        return documents
    }

    @Test func holdsEveryDocumentOnceInAnOrderOfItsOwn() throws {
        let outcome = try tokenization().write(to: path("a"))
        let (found, texts) = (try documents("a"), try expected())
        #expect(found.count == texts.count && found != texts)
        #expect(
            found.sorted { $0.lexicographicallyPrecedes($1) }
                == texts.sorted { $0.lexicographicallyPrecedes($1) })
        let single = try Tokenization(of: files.map(example), by: tokenizer, threads: 1).statistics()
        #expect(try JSON(encoding: outcome.statistics) == JSON(encoding: single))
        #expect(outcome.made == 8 && outcome.missing == 0)
        #expect(try contents("a").count == 9)
        // Neighbours come from different files: the order is not the files' order, shard by shard.
        let place = Dictionary(texts.enumerated().map { ($1, $0) }) { first, _ in first }
        let steps = zip(found, found.dropFirst()).count { abs((place[$0] ?? 0) - (place[$1] ?? 0)) == 1 }
        #expect(steps < found.count / 10)
        let index = try JSON.read(path: path("a/tokens.json"))
        #expect(index["documents"]?.int == found.count && index["shards"]?.array?.count == 8)
        #expect(index["sources"]?.array?.count == 3 && index["settings"]?["seed"] == 3)
        #expect(index["tokenizer_sha256"]?.string == tokenizer.sha256)
    }

    @Test func isTheSameForAnyThreadsAndMachinesAndAnotherForEachSeed() throws {
        _ = try tokenization(threads: 1).write(to: path("one"))
        _ = try tokenization(threads: 5).write(to: path("five"))
        for machine in 0..<3 {
            let share = try #require(ShardedTokenization.Share("\(machine)/3"))
            let outcome = try tokenization().write(to: path("three"), share: share)
            #expect(outcome.missing == [5, 2, 0][machine])
        }
        let one = try contents("one")
        #expect(try contents("five") == one)
        #expect(try contents("three") == one)
        _ = try tokenization(seed: 4).write(to: path("seed"))
        #expect(try documents("seed") != documents("one"))
    }

    @Test func goesOnWhereItWasStopped() throws {
        _ = try tokenization().write(to: path("whole"))
        let asked = Guarded(0)
        let error = #expect(throws: UserFacingError.self) {
            try tokenization(threads: 1).write(
                to: path("a"),
                isCancelled: {
                    asked.withLock {
                        $0 += 1; return $0 > 300
                    }
                })
        }
        #expect(error?.kind == .interrupted)
        #expect(error?.message.contains(" of 8 shards; the same command goes on") ?? false)
        let names = try FileManager.default.contentsOfDirectory(atPath: path("a"))
        #expect((1..<8).contains(names.count) && names.allSatisfy { $0.hasSuffix(".safetensors") })
        // What a kill leaves behind is taken over.
        try Data("half".utf8).write(to: URL(filePath: path("a/tokens-00007-of-00008.safetensors.partial")))
        try Data("half".utf8).write(to: URL(filePath: path("a/tokens-00007-of-00008.unordered")))
        let before = try FileManager.default.attributesOfItem(atPath: path("a/\(names[0])"))
        let outcome = try tokenization().write(to: path("a"))
        #expect(outcome.made == 8 - names.count)
        #expect(try contents("a") == contents("whole"))
        let after = try FileManager.default.attributesOfItem(atPath: path("a/\(names[0])"))
        #expect(before[.systemFileNumber] as? Int == after[.systemFileNumber] as? Int)
        let again = try tokenization().write(to: path("a"))
        #expect(again.made == 0)
        #expect(try JSON(encoding: again.statistics) == JSON(encoding: outcome.statistics))
    }

    @Test func whatWasMadeOtherwiseIsRefused() throws {
        let text = try folder.write("t.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two three\"}\n")
        _ = try tokenization([text], shardBytes: 20).write(to: path("a"))
        func words(_ other: ShardedTokenization) -> String {
            let error = #expect(throws: UserFacingError.self) { try other.write(to: path("a")) }
            return error?.description ?? ""
        }
        #expect(
            words(try tokenization([text], seed: 1, shardBytes: 20)).contains("another seed (3, not 1); give")
        )
        #expect(
            words(try tokenization([text], shardBytes: 20, options: TextOptions(composes: true)))
                .contains("another nfc (false, not true)"))
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: 1e9)], ofItemAtPath: text)
        #expect(
            words(try tokenization([text], shardBytes: 20)).contains("other source files, or files that were")
        )
        let replaced = try tokenization([text], shardBytes: 30).write(to: path("a"), replaces: true)
        #expect(replaced.made == 2 && replaced.statistics.documents == 2)
        try Data().write(to: URL(filePath: path("a/notes.txt")))
        #expect(
            words(try tokenization([text], shardBytes: 30)).contains("holds notes.txt, which is no shard"))
        let pipe = #expect(throws: UserFacingError.self) { try tokenization(["-"]) }
        #expect(pipe?.description.contains("it can be read only once") ?? false)
    }

    @Test func aFolderIsASourceOnlyWhenItIsWhole() throws {
        _ = try tokenization().write(to: path("a"))
        _ = try tokenization(seed: 9).write(to: path("b"))
        let name = "tokens-00002-of-00008.safetensors"
        func words() -> String {
            let error = #expect(throws: UserFacingError.self) {
                try DocumentEncoder(
                    path: path("a"), tokenizer: tokenizer,
                    layout: DocumentLayout(start: 1, end: 2, tokenizer: tokenizer), vocabularySize: 1_024)
            }
            return error?.description ?? ""
        }
        try FileManager.default.removeItem(atPath: path("a/\(name)"))
        #expect(words().contains("\(name) of 8 shards is not there; run `trainer tokenize` again"))
        try FileManager.default.copyItem(atPath: path("b/\(name)"), toPath: path("a/\(name)"))
        #expect(words().contains("\(name): it was made with another seed (9, not 3)"))
        try FileManager.default.removeItem(atPath: path("a/\(name)"))
        try FileManager.default.copyItem(
            atPath: path("a/tokens-00001-of-00008.safetensors"), toPath: path("a/\(name)"))
        #expect(words().contains("a file that is not the shard of its name"))
        try FileManager.default.copyItem(
            atPath: path("b/\(name)"), toPath: path("a/tokens-00002-of-00009.safetensors"))
        #expect(words().contains("are shards of two folders"))
    }

    /// What a folder trains and evaluates to is what its text in the folder's order does.
    @Test func givesTheSequencesOfTheTextInItsOrder() throws {
        _ = try tokenization([example("data/english.val.jsonl")], shardBytes: 2_000).write(to: path("a"))
        let packed = try PackedTokens(path: path("a"))
        let lines = (0..<packed.count).map { index -> String in
            let text: JSON = [
                "text": .string(tokenizer.decode(packed.tokens(index), skipSpecialTokens: true))
            ]
            return String(decoding: text.serialized(indent: nil), as: UTF8.self)
        }
        let text = try folder.write("ordered.jsonl", lines.joined(separator: "\n"))
        func mixture(_ path: String) throws -> DataMixture {
            var cache = SourceCache(tokenizer: tokenizer, vocabularySize: 1_024)
            return try DataMixture(
                cache.open(
                    [TextSource(path: path, weight: 1)],
                    layout: DocumentLayout(start: 1, end: 2, tokenizer: tokenizer)),
                length: 32, packing: .documents, seed: 5)
        }
        var (left, right) = (try mixture(path("a")), try mixture(text))
        for _ in 0..<40 {
            let (one, other) = (try left.next(8), try right.next(8))
            #expect(one.tokens == other.tokens && one.targets == other.targets)
        }
    }

    /// Lines longer than a part, blank ones, packed files and whole documents: each document is there once.
    @Test func partsOfFilesHoldEveryDocumentOnce() throws {
        let long = String(repeating: "long ", count: 30)
        let lines = (0..<40).map { $0 % 7 == 3 ? "" : "{\"text\": \"\($0 % 5 == 0 ? long : "") d\($0)\"}" }
        let text = try folder.write("a.jsonl", lines.joined(separator: "\n"))
        let note = try folder.write("b.txt", "one\ntwo\r\n")
        let empty = try folder.write("c.jsonl", "")
        for size in [1, 16, 17, 50, 1_000, 100_000] {
            let name = "s\(size)"
            let outcome = try tokenization([text, empty, note], shardBytes: size * 16).write(to: path(name))
            #expect(outcome.statistics.documents == 35 && outcome.statistics.findings.carriageReturns == 1)
            let packed = try PackedTokens(path: path(name))
            let texts = (0..<packed.count).map {
                tokenizer.decode(packed.tokens($0), skipSpecialTokens: true)
            }
            let numbers = lines.indices.filter { $0 % 7 != 3 }.map { "d\($0)" } + ["two"]
            #expect(
                Set(texts.map { String($0.split(whereSeparator: \.isWhitespace).last ?? "") }) == Set(numbers)
            )
        }
    }

    /// A line in the middle of a file is called by its number there, though its part knows none.
    @Test func namesTheLineThatCannotBeUsed() throws {
        let good = (1...99).map { "{\"text\": \"line \($0)\"}" }
        let text = try folder.write(
            "a.jsonl", (good + ["no json", "{\"text\": \"end\"}"]).joined(separator: "\n"))
        let error = #expect(throws: UserFacingError.self) {
            try tokenization([text], shardBytes: 640).write(to: path("a"))
        }
        #expect(error?.description.contains("a.jsonl, line 100: it is not JSON") ?? false)
        let skipping = try tokenization([text], shardBytes: 640, options: TextOptions(skipsBadLines: true))
        let outcome = try skipping.write(to: path("b"))
        #expect(outcome.statistics.documents == 100 && outcome.statistics.findings.skippedLines == 1)
        #expect(skipping.warnings(of: outcome).contains { $0.contains("a.jsonl, line 100: it is not JSON") })
        #expect(
            skipping.warnings(of: try skipping.write(to: path("b"))) == [
                "1 line passed over that can't be used"
            ])
    }
}
