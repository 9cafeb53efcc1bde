import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

@Suite struct SourceCacheTests {
    let tokenizer: Tokenizer

    init() throws { tokenizer = try Tokenizer.open(example("blank")) }

    private func layout(end: Int32? = 2) throws -> DocumentLayout {
        try DocumentLayout(start: 1, end: end, tokenizer: tokenizer)
    }

    /// A pipe is empty when it is read a second time.
    @Test func opensASourceOnce() throws {
        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: Data("{\"text\": \"A row.\"}\n".utf8))
        try pipe.fileHandleForWriting.close()
        let path = "/dev/fd/\(pipe.fileHandleForReading.fileDescriptor)"
        var cache = SourceCache(tokenizer: tokenizer, vocabularySize: 1_024)
        let first = try cache.open([TextSource(path: path, weight: 2)], layout: layout())[0]
        let again = try cache.open([TextSource(name: "again", path: path, weight: 5)], layout: layout())[0]
        #expect(first.source.weight == 2 && again.source == TextSource(name: "again", path: path, weight: 5))
        #expect(again.content == first.content && again.size.tokens == first.size.tokens)
        #expect(try again.encoder.tokens(0) == first.encoder.tokens(0))
    }

    /// Read in another way, or laid out in another, it is another source, and each is told of once.
    @Test func whatIsReadInAnotherWayIsAnotherSource() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(
            "a.jsonl", "{\"text\": \"A row.\", \"other\": \"Some <s> cells.\"}\n{\"text\": \"<s> B\"}\n")
        var cache = SourceCache(tokenizer: tokenizer, vocabularySize: 1_024)
        let sources = [TextSource(path: path)]
        let skipping = TextOptions(textKey: "other", skipsBadLines: true)
        for _ in 0..<2 {
            let (plain, other) = (
                try cache.open(sources, layout: layout())[0],
                try cache.open(sources, options: skipping, layout: layout())[0]
            )
            let endless = try cache.open(sources, layout: layout(end: nil))[0]
            #expect(plain.size.documents == 2 && other.size.documents == 1)
            #expect(endless.size.tokens == plain.size.tokens - 2)
            #expect(cache.byteCount == 16 * 5)
        }
        #expect(cache.warnings.count == 2, "\(cache.warnings)")
    }

    @Test func weightsAreLookedAtBeforeAnythingIsOpened() throws {
        var cache = SourceCache(tokenizer: tokenizer, vocabularySize: 1_024)
        let sources = [TextSource(path: "none.jsonl"), TextSource(path: "b.jsonl", weight: 0)]
        #expect(throws: UserFacingError.badWeight(path: "b.jsonl", weight: 0)) {
            try cache.open(sources, layout: layout())
        }
    }

    @Test(arguments: [1, 3]) func countingIsTheSameForAnyThreadsAndCanBeStopped(threads: Int) throws {
        let sources = [TextSource(path: example("data/english.val.jsonl"))]
        var cache = SourceCache(tokenizer: tokenizer, vocabularySize: 1_024, threads: threads)
        let error = #expect(throws: UserFacingError.self) {
            try cache.open(sources, layout: layout(), isCancelled: { true })
        }
        #expect(error?.kind == .interrupted)
        let size = try cache.open(sources, layout: layout())[0].size
        let encoder = try DocumentEncoder(
            path: sources[0].path, tokenizer: tokenizer, layout: layout(), vocabularySize: 1_024)
        #expect(
            try size.tokens == (0..<encoder.count).reduce(0) { $0 + (try encoder.tokens($1).count) })
    }
}
