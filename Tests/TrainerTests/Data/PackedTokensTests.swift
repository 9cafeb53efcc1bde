import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

@Suite struct PackedTokensTests {
    let folder: TemporaryFolder
    let tokenizer: Tokenizer

    init() throws {
        folder = try TemporaryFolder()
        tokenizer = try Tokenizer.open(example("blank"))
    }

    /// Packs files of the examples.
    @discardableResult
    private func pack(_ files: [String], to name: String, threads: Int = 2) throws -> TokenStatistics {
        let tokenization = try Tokenization(of: files.map(example), by: tokenizer, threads: threads)
        return try tokenization.write(to: "\(folder.path)/\(name)", tool: "test")
    }

    private func encoder(_ path: String) throws -> DocumentEncoder {
        try DocumentEncoder(
            path: path, tokenizer: tokenizer,
            layout: DocumentLayout(start: 1, end: 2, tokenizer: tokenizer), vocabularySize: 1_024)
    }

    @Test func holdsWhatTheTextEncodesTo() throws {
        let files = ["data/english.val.jsonl", "data/korean.val.jsonl"]
        let statistics = try pack(files, to: "two.safetensors")
        let packed = try encoder("\(folder.path)/two.safetensors")
        let texts = try files.map { try encoder(example($0)) }
        let documents = try texts.flatMap { file in try (0..<file.count).map { try file.tokens($0) } }
        // A packed file holds the tokenizer's own ids, which have no end of text.
        let own = try PackedTokens(path: "\(folder.path)/two.safetensors")
        #expect((0..<own.count).map { own.tokens($0) + [2] } == documents)
        #expect(packed.count == documents.count && documents.count > 20)
        let counted = try packed.size(threads: 1, counting: TokenExposure(of: 3..<1_024))
        let known = documents.joined().reduce(into: [Int32: UInt32]()) { $0[$1, default: 0] += 1 }
        #expect(counted.new?.targets == (3..<1_024).map { known[$0] ?? 0 })
        #expect(try (0..<packed.count).map { try packed.tokens($0) } == documents)
        let bytes = try texts.map { file in
            try (0..<file.count).reduce(0) { $0 + (try file.text($1).byteCount) }
        }.reduce(0, +)
        #expect(try (0..<packed.count).reduce(0) { $0 + (try packed.text($1).byteCount) } == bytes)
        #expect(statistics.documents == documents.count && statistics.bytes == bytes)
        #expect(statistics.tokens == documents.map(\.count).reduce(0, +) - documents.count)
        #expect(statistics.used == Set(documents.joined()).subtracting([2]).count)
        #expect(statistics.longest == documents.map { $0.count - 1 }.max())
        // It is a safetensors file of numbers that fit.
        let header = try SafetensorsFile(path: "\(folder.path)/two.safetensors").header
        #expect(header.entries.map(\.name) == ["document_offsets", "document_bytes", "tokens"])
        #expect(header.entries.map(\.type) == [.u64, .u64, .u16])
        #expect(header.metadata["tokenizer_sha256"] == tokenizer.sha256)
    }

    @Test func isTheSameForAnyNumberOfThreads() throws {
        try pack(["data/english.train.jsonl"], to: "1.safetensors", threads: 1)
        try pack(["data/english.train.jsonl"], to: "5.safetensors", threads: 5)
        let files = try [1, 5].map { try Data(contentsOf: URL(filePath: "\(folder.path)/\($0).safetensors")) }
        #expect(files[0] == files[1])
    }

    @Test func givesTheSequencesOfTheText() throws {
        try pack(["data/english.val.jsonl"], to: "en.safetensors")
        try pack(["data/korean.val.jsonl"], to: "ko.safetensors")
        func mixture(_ english: String, _ korean: String) throws -> DataMixture {
            var cache = SourceCache(tokenizer: tokenizer, vocabularySize: 1_024)
            return try DataMixture(
                cache.open(
                    [TextSource(path: english, weight: 2), TextSource(path: korean, weight: 1)],
                    layout: DocumentLayout(start: 1, end: 2, tokenizer: tokenizer)),
                length: 32, packing: .documents, seed: 5)
        }
        var text = try mixture(example("data/english.val.jsonl"), example("data/korean.val.jsonl"))
        var packed = try mixture("\(folder.path)/en.safetensors", "\(folder.path)/ko.safetensors")
        for _ in 0..<40 {
            let (left, right) = (try text.next(8), try packed.next(8))
            #expect(
                left.tokens == right.tokens && left.targets == right.targets
                    && left.attentionStart == right.attentionStart)
        }
        #expect(text.position == packed.position)
        var other = try mixture("\(folder.path)/en.safetensors", example("data/korean.val.jsonl"))
        try other.move(to: text.position)
        #expect(try other.next(3).tokens == (try packed.next(3).tokens))
    }

    @Test func largeVocabulariesTakeFourBytes() throws {
        let words = (0..<70_000).map { "\"w\($0)\":\($0)" }.joined(separator: ",")
        let path = try folder.write(
            "tokenizer.json",
            """
            {"pre_tokenizer":{"type":"WhitespaceSplit"},
             "model":{"type":"WordLevel","unk_token":"w0","vocab":{\(words)}}}
            """)
        let text = try folder.write("a.jsonl", "{\"text\":\"w69999 w1 none w65536\"}\n{\"text\":\" \"}\n")
        let large = try Tokenizer.open(path)
        let tokenization = try Tokenization(of: [text], by: large, threads: 1)
        let statistics = try tokenization.write(to: "\(folder.path)/a.safetensors", tool: "test")
        #expect(statistics.unknown == 1 && statistics.documents == 2)
        let packed = try PackedTokens(path: "\(folder.path)/a.safetensors")
        #expect(packed.tokens(0) == [69_999, 1, 0, 65_536] && packed.tokens(1) == [])
        #expect(packed.byteCount(0) == 21 && packed.byteCount(1) == 1)
    }

    @Test func tokensOfAnotherTokenizerAreRefused() throws {
        try pack(["data/english.val.jsonl"], to: "en.safetensors")
        var text = try String(contentsOf: URL(filePath: example("blank/tokenizer.json")), encoding: .utf8)
        text += "\n"
        let other = try Tokenizer.open(try folder.write("tokenizer.json", text))
        let error = #expect(throws: UserFacingError.self) {
            try DocumentEncoder(
                path: "\(folder.path)/en.safetensors", tokenizer: other,
                layout: DocumentLayout(start: 1, end: 2, tokenizer: other), vocabularySize: 1_024)
        }
        #expect(error?.description.contains("made with another tokenizer (SHA-256 ") ?? false)
        #expect(error?.fault == .input)
    }

    @Test func whatIsNoSuchFileIsRefused() throws {
        try pack(["data/english.val.jsonl"], to: "en.safetensors")
        let path = "\(folder.path)/en.safetensors"
        let whole = try Data(contentsOf: URL(filePath: path))
        func words(_ data: Data) throws -> String {
            let bad = try folder.write("bad.safetensors", data)
            let error = #expect(throws: UserFacingError.self) { try PackedTokens(path: bad) }
            return error?.description ?? ""
        }
        #expect(
            try words(whole.dropLast(2)).contains(
                "expected a file of tokens that `trainer tokenize -o` wrote"))
        var moved = whole
        moved[4_096 + 8] = 255
        moved[4_096 + 15] = 255
        #expect(try words(moved).contains("for document 2; expected"))
        let version = try #require(whole.range(of: Data("\"version\":\"1\"".utf8)))
        var newer = whole
        newer[version.upperBound - 2] = UInt8(ascii: "2")
        #expect(try words(newer).contains("version 2 of the format"))
        let model = #expect(throws: UserFacingError.self) {
            try PackedTokens(path: example("base/model.safetensors"))
        }
        #expect(model?.description.contains("found the tensors ") ?? false)
    }

    @Test func nothingIsLeftOfAFileThatWasNotFinished() throws {
        let tokenization = try Tokenization(
            of: [example("data/english.val.jsonl")], by: tokenizer, threads: 2)
        let path = "\(folder.path)/en.safetensors"
        var told: [Int] = []
        let error = #expect(throws: UserFacingError.self) {
            try tokenization.write(
                to: path, tool: "test", isCancelled: { true }, progress: { told.append($0) })
        }
        #expect(told == [1] && error?.kind == .interrupted)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
    }

    @Test func evaluatesAndHealsToTheSameBits() throws {
        try blankModel(in: folder)
        try pack(["data/english.val.jsonl"], to: "en.safetensors")
        var results: [[EvaluationResult]] = []
        var weights: [Data] = []
        for (name, path) in [
            ("text", example("data/english.val.jsonl")), ("packed", "\(folder.path)/en.safetensors"),
        ] {
            var run = JobRun(on: folder.path, to: "\(folder.path)/\(name)")
            (run.job.fromScratch, run.job.data) = (true, [TextSource(path: path, weight: 1)])
            run.job.eval = [TextSource(name: "english", path: path, weight: 1)]
            (run.job.steps, run.job.batch, run.job.length, run.job.seed) = (3, 2, 24, 3)
            (run.job.lr, run.job.embeddingLr, run.job.schedule) = (1e-2, 5e-3, .constant)
            (run.job.moments, run.job.gradients, run.options.threads) = (.f32, .f32, 2)
            let outcome = try run()
            results.append((outcome.before + outcome.after).map(\.result))
            weights.append(try Data(contentsOf: URL(filePath: "\(folder.path)/\(name)/model.safetensors")))
        }
        #expect(results[0] == results[1] && results[0].count == 2)
        #expect(results[0].allSatisfy { $0.bytes == 8_114 })
        #expect(weights[0] == weights[1])
    }
}
