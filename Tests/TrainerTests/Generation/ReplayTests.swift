import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

@Suite struct ReplayTests {
    let folder: TemporaryFolder
    let tokenizer: Tokenizer

    init() throws {
        folder = try TemporaryFolder()
        tokenizer = try Tokenizer.open(example("base"))
    }

    private func request(_ tokens: Int = 1_500, prefixes: Bool = true) -> ReplayRequest {
        var request = ReplayRequest(tokens: tokens)
        (request.length, request.sampling.seed) = (40, 7)
        if prefixes {
            request.prefixes = example("data/english.val.jsonl")
            (request.prefixShare, request.prefixTokens) = (0.4, 5)
        }
        return request
    }

    /// Samples into a file; stopped after so many documents where that is said.
    @discardableResult
    private func run(
        _ request: ReplayRequest, to name: String, threads: Int = 1, stopAfter limit: Int = .max,
        resume: Bool = false, force: Bool = false
    ) throws -> ReplayFigures {
        var options = RunOptions()
        (options.threads, options.resume, options.force) = (threads, resume, force)
        let run = try ReplayRun(request, of: example("base"), to: folder.path(name), options: options)
        var documents = 0
        return try run(isCancelled: { documents >= limit }, progress: { _ in documents += 1 }).figures
    }

    /// On any number of threads, stopped and gone on with, and after a kill in the middle of a line: the same bytes.
    @Test func theSameBytesWhateverHappens() throws {
        let figures = try run(request(), to: "a.jsonl")
        let expected = try folder.bytes("a.jsonl")
        #expect(figures.tokens >= 1_500 && figures.documents > 32)
        #expect(try folder.names() == ["a.jsonl", "a.jsonl.run"])
        #expect(try folder.names("a.jsonl.run") == ["replay.json"])
        try run(request(), to: "b.jsonl", threads: 3)
        #expect(try folder.bytes("b.jsonl") == expected)

        // Sixteen are begun, and mostly end, together.
        for limit in [2, 9] {
            let error = #expect(throws: UserFacingError.self) {
                try run(request(), to: "c.jsonl", stopAfter: limit, resume: limit > 2)
            }
            #expect(error?.kind == .interrupted && error?.message.contains("--resume goes on") == true)
        }
        let part = try folder.bytes("c.jsonl.run/texts.jsonl")
        #expect(expected.starts(with: part) && part.count < expected.count)
        try folder.write("c.jsonl.run/texts.jsonl", part.dropLast(7))
        #expect(try run(request(), to: "c.jsonl", threads: 2, resume: true) == figures)
        #expect(try folder.bytes("c.jsonl") == expected)
        // Again there is nothing to do, and what it says is the same.
        #expect(try run(request(), to: "c.jsonl", resume: true) == figures)
        #expect(try folder.bytes("c.jsonl") == expected)
        // More tokens are the same documents and some more.
        try run(request(1_700), to: "more.jsonl")
        #expect(try folder.bytes("more.jsonl").starts(with: expected))
    }

    @Test func linesSayWhatTheyAre() throws {
        let figures = try run(request(), to: "a.jsonl")
        let english = try DocumentIndex(path: example("data/english.val.jsonl"))
        let texts = try (0..<english.count).map { try english.text($0) }
        var (indices, tokens, prefixed, seen) = ([Int](), 0, 0, Set<String>())
        try JSONLines.forEach(in: folder.path("a.jsonl")) { _, line throws(UserFacingError) in
            #expect(
                line.object?.keys
                    == ["text", "synthetic", "model", "seed", "index", "end", "prefix", "tokens"])
            #expect(line["synthetic"] == "replay" && line["model"] == "base" && line["seed"]?.int == 7)
            let text = line["text"]?.string ?? ""
            #expect(!text.contains("\u{FFFD}") && seen.insert(text).inserted)
            indices.append(line["index"]?.int ?? -1)
            tokens += try tokenizer.encode(text, addSpecialTokens: false).count + 2
            #expect((line["tokens"]?.int ?? 99) + 1 <= 40)
            let prefix = line["prefix"]?.int ?? -1
            prefixed += prefix > 0 ? 1 : 0
            let beginning = String(text.unicodeScalars.prefix(prefix))
            #expect(texts.contains { $0.hasPrefix(beginning) })
        }
        #expect(indices == indices.sorted() && Set(indices).count == indices.count)
        #expect(figures.empty == (indices.last ?? 0) + 1 - indices.count)
        #expect(tokens == figures.tokens && indices.count == figures.documents)
        // Four of ten begin with a real text, spread evenly; none of these is empty.
        #expect(prefixed == figures.prefixed && prefixed == Int(Double((indices.last ?? 0) + 1) * 0.4))
        #expect(figures.ended + figures.cut + figures.broken == figures.documents)
        // Nothing of this vanishes where training reads the file.
        var cache = SourceCache(tokenizer: tokenizer, vocabularySize: 1_024)
        let layout = try DocumentLayout(start: 1, end: 2, tokenizer: tokenizer)
        let opened = try cache.open([TextSource(path: folder.path("a.jsonl"))], layout: layout)
        #expect(opened[0].size.tokens == figures.tokens && opened[0].size.documents == figures.documents)
    }

    /// Chance at temperature 1 takes tokens as often as the model has them likely.
    @Test func firstTokensAreAsLikelyAsTheModelSays() throws {
        let generator = try Generator(.open(example("base")), threads: 2)
        let transformer = try CachedTransformer(
            PretrainedModel.open(example("base")).architecture,
            layout: PretrainedModel.open(example("base")).layout(training: .none), sequences: 1, length: 1,
            on: DefaultEngine(threads: 1))
        try PretrainedModel.open(example("base")).load(into: transformer.model, isCancelled: { false })
        let likely = Sampling(temperature: 1).distribution(try transformer.begin(0, with: [1]))
        var counts = [Int](repeating: 0, count: likely.count)
        let documents = 1_000
        try generator.write(
            from: 0, length: 2, sampling: Sampling(temperature: 1, seed: 3),
            beginning: { _ throws(UserFacingError) in [1] }
        ) { number, continuation throws(UserFacingError) in
            counts[Int(continuation.tokens[0])] += 1
            return number + 1 < documents
        }
        // The statistic of a chi-squared test over tokens that are expected five times, the others as one.
        var (statistic, degrees, rest, restCount) = (0.0, 0, 0.0, 0)
        for (token, probability) in likely {
            let expected = probability * Double(documents)
            guard expected >= 5 else {
                (rest, restCount) = (rest + expected, restCount + counts[token])
                continue
            }
            let difference = Double(counts[token]) - expected
            (statistic, degrees) = (statistic + difference * difference / expected, degrees + 1)
        }
        if rest >= 5 { statistic += (Double(restCount) - rest) * (Double(restCount) - rest) / rest }
        #expect(degrees > 10)
        #expect(
            statistic < Double(degrees) + 5 * (2 * Double(degrees)).squareRoot(), "\(statistic) of \(degrees)"
        )
    }

    private func text(
        _ tokens: [Int32], stop: Continuation.Stop = .tokens, prefix: [Int32] = []
    ) -> ReplayText {
        ReplayText(
            Continuation(promptTokens: [1] + prefix, tokens: tokens, stop: stop), prefix: prefix, index: 3,
            tokenizer: tokenizer)
    }

    /// What no text stands for ends a document, and is no part of it.
    @Test func documentsEndBeforeWhatIsNoText() throws {
        let hello = try tokenizer.encode("Hello 한", addSpecialTokens: false)
        #expect(text(hello + [2], stop: .endOfText) == text(hello, end: .model, tokens: hello.count))
        #expect(text(hello) == text(hello, end: .length, tokens: hello.count))
        // A control token in the middle, and a row without a token.
        #expect(text(hello + [0] + hello) == text(hello, end: .noText, tokens: hello.count))
        #expect(text(hello + [5_000]) == text(hello, end: .noText, tokens: hello.count))
        // A character that --length has cut is left out; one that the model has ended, or gone on from, is none.
        let bytes = try tokenizer.encode("\u{1F600}", addSpecialTokens: false)
        try #require(bytes.count > 1)
        let half = hello + bytes.dropLast()
        // What is left out is not counted, either.
        #expect(text(half) == text(hello, end: .length, tokens: hello.count))
        #expect(text(half + [2], stop: .endOfText) == text(hello, end: .noText, tokens: hello.count))
        #expect(text(half + hello) == text(hello, end: .noText, tokens: hello.count))
        // The beginning's characters are counted as far as they are whole.
        #expect(text(hello, prefix: hello).prefix == 7)
        #expect(text([bytes[bytes.count - 1]], prefix: Array(bytes.dropLast())).prefix == 0)
    }

    private func text(_ tokens: [Int32], end: ReplayText.End, tokens count: Int) -> ReplayText {
        var text = text(tokens)
        (text.end, text.tokens) = (end, count)
        return text
    }

    /// A sampler that says the same again and again is seen.
    @Test func repetitionIsSeen() throws {
        let layout = try DocumentLayout(start: 1, end: 2, tokenizer: tokenizer)
        var count = ReplayCount(tokenizer, layout)
        var line = text([])
        line.text = String(repeating: "abc, ", count: 60)
        for index in [0, 2, 3] {
            line.index = index
            try count.count(line)
        }
        #expect(count.figures.repetition > 0.9 && count.figures.distinct < 0.05)
        #expect(count.figures.empty == 1 && count.figures.documents == 3 && count.next == 4)
        #expect(count.figures.warnings.contains { $0.contains("repeats itself") })
        var other = ReplayCount(tokenizer, layout)
        line.text = "Every word of this one is different from all the rest."
        line.index = 0
        try other.count(line)
        #expect(other.figures.repetition == 0 && other.figures.distinct == 1)
    }

    @Test func nothingIsReplacedUnasked() throws {
        try folder.write("a.jsonl", "mine")
        #expect(throws: UserFacingError.exists(path: folder.path("a.jsonl"))) {
            try run(request(), to: "a.jsonl")
        }
        // What no run has made is not gone on with.
        #expect(throws: UserFacingError.exists(path: folder.path("a.jsonl"))) {
            try run(request(), to: "a.jsonl", resume: true)
        }
        #expect(try folder.names() == ["a.jsonl"] && folder.bytes("a.jsonl") == Array("mine".utf8))
        try run(request(), to: "a.jsonl", force: true)

        _ = #expect(throws: UserFacingError.self) { try run(request(), to: "b.jsonl", stopAfter: 2) }
        let kept = try folder.bytes("b.jsonl.run/texts.jsonl")
        var error = #expect(throws: UserFacingError.self) { try run(request(), to: "b.jsonl") }
        #expect(error == .unfinishedReplay(folder: folder.path("b.jsonl.run")))
        var other = request()
        other.sampling.temperature = 0.9
        error = #expect(throws: UserFacingError.self) { try run(other, to: "b.jsonl", resume: true) }
        #expect(
            error?.message.contains("sampling.temperature is 0.9, was 1") == true, "\(error?.message ?? "")")
        #expect(try folder.bytes("b.jsonl.run/texts.jsonl") == kept)
        try folder.write("b.jsonl.run/texts.jsonl", Array("{\"text\": \"x\"}\n".utf8) + kept)
        error = #expect(throws: UserFacingError.self) { try run(request(), to: "b.jsonl", resume: true) }
        #expect(error?.message.contains("line 1 is not one that was written here") == true)
        try run(request(), to: "b.jsonl", force: true)
        #expect(try folder.bytes("b.jsonl") == folder.bytes("a.jsonl"))
    }

    /// An output that is no longer what was written is not called finished, and stays as it is.
    @Test func aDamagedOutputIsNotFinished() throws {
        let figures = try run(request(), to: "a.jsonl")
        let whole = try folder.bytes("a.jsonl")
        let lines = whole.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let three = Array(lines.prefix(3).joined(separator: [UInt8(ascii: "\n")])) + [UInt8(ascii: "\n")]
        let cases: [([UInt8], String)] = [
            (three, "3 documents of"),
            // A line that was cut, as a full disk leaves it; a line of another command; a letter changed.
            (three + Array("{\"text\": \"brok".utf8), "3 documents of"),
            (three + Array("{\"text\": \"x\"}\n".utf8), "line 4 is not one that was written here"),
            (
                whole.map { $0 == UInt8(ascii: "e") ? UInt8(ascii: "a") : $0 },
                "is not one that was written here"
            ),
            (whole + [UInt8(ascii: " ")], "\(figures.documents) documents of"),
        ]
        for (bytes, words) in cases {
            try folder.write("a.jsonl", bytes)
            let error = #expect(throws: UserFacingError.self) {
                try run(request(), to: "a.jsonl", resume: true)
            }
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("--force") == true)
            #expect(try folder.bytes("a.jsonl") == bytes)
        }
        try folder.write("a.jsonl", whole)
        #expect(try run(request(), to: "a.jsonl", resume: true) == figures)
    }

    /// The texts that documents begin with are not replaced by what is made of them.
    @Test func theOutputIsNoneOfTheTexts() throws {
        let real = try [UInt8](Data(contentsOf: URL(filePath: example("data/english.val.jsonl"))))
        try folder.write("real.jsonl", real)
        let files = FileManager.default
        try files.createSymbolicLink(atPath: folder.path("link.jsonl"), withDestinationPath: "real.jsonl")
        try files.linkItem(atPath: folder.path("real.jsonl"), toPath: folder.path("hard.jsonl"))
        try folder.makeFolder("texts")
        try files.linkItem(atPath: folder.path("real.jsonl"), toPath: folder.path("texts/a.jsonl"))
        var request = request()
        for (prefixes, output) in [
            ("real.jsonl", "real.jsonl"), ("real.jsonl", "link.jsonl"), ("link.jsonl", "real.jsonl"),
            ("real.jsonl", "hard.jsonl"), ("texts", "real.jsonl"), ("texts/*.jsonl", "link.jsonl"),
        ] {
            request.prefixes = folder.path(prefixes)
            let error = #expect(throws: UserFacingError.self) { try run(request, to: output, force: true) }
            #expect(error == .outputIsSource(path: folder.path(output)), "\(prefixes) \(output)")
        }
        #expect(try folder.bytes("real.jsonl") == real)
        #expect(try folder.names() == ["hard.jsonl", "link.jsonl", "real.jsonl", "texts"])
    }

    @Test func badRequests() throws {
        let cases: [((inout ReplayRequest) -> Void, String)] = [
            ({ $0.tokens = 0 }, "--tokens must be at least 1, not 0"),
            ({ $0.length = 1 }, "--length must be at least 2, not 1"),
            ({ $0.prefixShare = 0 }, "--prefix-share must be above 0"),
            ({ $0.prefixTokens = 3 }, "are of --prefixes"),
            ({ $0.sampling.temperature = 0 }, "without chance every document is the same"),
            ({ $0.sampling.topP = 1.5 }, "--top-p must be above 0 and at most 1"),
        ]
        for (change, message) in cases {
            var request = ReplayRequest(tokens: 10)
            change(&request)
            let error = #expect(throws: UserFacingError.self) { try request.check(prefix: "--") }
            #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
        }
    }

    @Test func lengthsThatDoNotFit() throws {
        var long = request()
        long.length = 600
        var error = #expect(throws: UserFacingError.self) { try run(long, to: "a.jsonl") }
        #expect(error?.message.contains("600") == true)
        long.length = 6
        error = #expect(throws: UserFacingError.self) { try run(long, to: "b.jsonl") }
        #expect(error?.message.contains("leaves no room in a document of 6") == true)
    }
}
