import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

@Suite struct InfillingTests {
    let folder: TemporaryFolder
    /// What `Scripts/fixtures/infilling.py` has made of texts with Hugging Face's tokenizers.
    private static let fixture = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../Fixtures/infilling.json").standardized.path()
    private static let cases = [
        "byte-level", "sentencepiece, prepended", "sentencepiece, always", "sentencepiece, first",
    ]

    init() throws { folder = try TemporaryFolder() }

    /// A tokenizer of the fixture, with what is known of it.
    private struct Case {
        let tokenizer: Tokenizer
        let layout: DocumentLayout
        let marks: InfillingTokens
        let texts: [String]
        let runs: [JSON]

        init(_ name: String) throws {
            let json = try JSON.read(path: InfillingTests.fixture)
            let all = try #require(json["cases"]?.array)
            #expect(all.compactMap { $0["name"]?.string } == InfillingTests.cases)
            let own = try #require(all.first { $0["name"]?.string == name })
            tokenizer = try Tokenizer(json: try #require(own["tokenizer"]), file: name)
            layout = try DocumentLayout(start: 1, end: 2, tokenizer: tokenizer)
            marks = try InfillingTokens([], in: tokenizer, path: name, rows: 10_000)
            let ids = [marks.prefix, marks.suffix, marks.middle, try #require(marks.end)]
            #expect(ids.map { JSON(Int($0)) } == own["marks"]?.array)
            texts = try #require(json["texts"]?.array).compactMap(\.string)
            runs = try #require(own["runs"]?.array)
            #expect(runs.count > 3 && texts.count > 15)
        }

        /// The encoder of the texts, in a file, turned round as a run of the fixture has it.
        func encoder(_ run: JSON, in folder: TemporaryFolder) throws -> DocumentEncoder {
            let lines = texts.map { JSON.object(["text": .string($0)]).text + "\n" }.joined()
            let infilling = Infilling(
                rate: try #require(run["rate"]?.double), spm: try #require(run["spm"]?.double), tokens: marks,
                seed: try #require(run["seed"]?.string.flatMap { UInt64($0) }))
            return try DocumentEncoder(
                path: folder.write("texts.jsonl", lines), tokenizer: tokenizer, layout: layout,
                vocabularySize: 10_000,
                infilling: SourceInfilling(
                    infilling: infilling, source: try #require(run["source"]?.int),
                    length: try #require(run["length"]?.int)))
        }
    }

    /// Every id, in every form, whatever the number of threads that counts them.
    @Test(arguments: cases) func documentsAreTheReferences(name: String) throws {
        let known = try Case(name)
        for run in known.runs {
            let encoder = try known.encoder(run, in: folder)
            let expected = try #require(run["documents"]?.array).map { document in
                (document.array ?? []).compactMap { $0.int.map { Int32($0) } }
            }
            for (index, document) in expected.enumerated() {
                #expect(
                    try encoder.tokens(index) == document, "\(name), \(run["rate"] ?? 0), document \(index)")
            }
            for threads in [1, 3] {
                let size = try encoder.size(threads: threads)
                #expect(size.tokens == expected.joined().count && size.longest == expected.map(\.count).max())
                let turned = expected.count { $0.contains(known.marks.prefix) }
                #expect(size.psm + size.spm == turned && turned > 0)
                #expect(
                    size.tooLong > 0 ? run["length"]?.int == 40 : turned == expected.count || run["rate"] != 1
                )
            }
        }
    }

    /// Prefix, middle and suffix are the document again.
    @Test(arguments: cases) func partsAreTheDocument(name: String) throws {
        let known = try Case(name)
        let (marks, tokenizer) = (known.marks, known.tokenizer)
        func text(_ tokens: ArraySlice<Int32>, isFirst: Bool) throws -> String {
            if isFirst { return tokenizer.decode(Array(tokens)) }
            let first = try tokenizer.encode("a", addSpecialTokens: false)
            return String(tokenizer.decode(first + tokens).dropFirst())
        }
        var forms = (psm: 0, spm: 0)
        for run in known.runs {
            let encoder = try known.encoder(run, in: folder)
            for (index, whole) in known.texts.enumerated() {
                // What SentencePiece puts before a text is one with a space that begins it, whatever is cut.
                if name != "byte-level", whole.hasPrefix(" ") { continue }
                let document = try encoder.tokens(index)
                guard let middle = document.firstIndex(of: marks.middle) else { continue }
                let suffix = try #require(document.firstIndex(of: marks.suffix))
                #expect(document[0] == 1 && document[1] == marks.prefix && document.last == marks.end)
                let after = try text(document[(suffix + 1)..<middle], isFirst: false)
                let last = document[(middle + 1)...].dropLast()
                let before: String
                if suffix == 2 {
                    // The suffix stands first; prefix and middle are one, or the prefix is empty.
                    let isSPM = run["spm"] != 0
                    before = try text(last, isFirst: isSPM)
                    forms.spm += isSPM ? 1 : 0
                } else {
                    before =
                        try text(document[2..<suffix], isFirst: true) + text(last, isFirst: false)
                    forms.psm += 1
                }
                #expect((before + after).utf8.elementsEqual(whole.utf8), "\(name), document \(index)")
            }
        }
        #expect(forms.psm > 10 && forms.spm > 10)
    }

    private let tokenizer = try? Tokenizer.open(example("blank"))

    private func blankLayout() throws -> DocumentLayout {
        try DocumentLayout(start: 1, end: 2, tokenizer: #require(tokenizer))
    }

    /// As many as asked for, cut anywhere, and others for another source, seed and document.
    @Test func chanceIsEven() throws {
        let text = (0..<10).map(String.init).joined()
        let marks = InfillingTokens(prefix: 900, suffix: 901, middle: 902, end: nil)
        let infilling = Infilling(rate: 0.9, spm: 0.25, tokens: marks, seed: 5)
        func documents(_ infilling: Infilling, source: Int) throws -> [[Int32]] {
            let own = SourceInfilling(infilling: infilling, source: source, length: 512)
            return try (0..<4_000).compactMap {
                try own.document(text, $0, blankLayout(), #require(tokenizer)).tokens
            }
        }
        let all = try documents(infilling, source: 0)
        let turned = Double(all.count) / 4_000
        #expect(abs(turned - 0.9) < 0.02)
        #expect(all.allSatisfy { $0.last == 2 && $0[0] == 1 && $0[1] == 900 })
        let psm = all.filter { $0[2] != 901 }
        // An empty prefix looks like SPM: of eleven borders the lower of two is 0 in 21 of 121.
        let share = Double(psm.count) / Double(all.count)
        let expected = 0.75 * 100.0 / 121
        #expect(abs(share - expected) < 0.03)
        var other = infilling
        other.seed = 6
        #expect(try documents(other, source: 0) != all && documents(infilling, source: 1) != all)
        #expect(Set(all).count > 50)
        // Nothing and the whole text are middles, too.
        let middles = Set(psm.map { $0.count - 1 - ($0.firstIndex(of: 902) ?? 0) })
        #expect(middles.contains(1) && middles.count > 5)
    }

    @Test func replayStaysAsItIs() throws {
        let path = example("data/english.val.jsonl")
        var cache = SourceCache(tokenizer: try #require(tokenizer), vocabularySize: 1_024)
        let sources = [
            TextSource(name: "a", path: path), TextSource(name: "b", path: path, isReplay: true),
            TextSource(name: "c", path: path),
        ]
        // ^, ~ and `, which these texts do not have.
        let marks = InfillingTokens(prefix: 64, suffix: 96, middle: 66, end: nil)
        let infilling = Infilling(rate: 1, spm: 0.5, tokens: marks, seed: 0)
        let opened = try cache.open(sources, layout: blankLayout(), infilling: infilling, length: 100_000)
        let plain = try cache.open(sources, layout: blankLayout())
        let turned = opened.map(\.infilled)
        #expect(turned.map { $0.psm + $0.spm == $0.documents } == [true, false, true])
        #expect(turned[1].psm + turned[1].spm == 0)
        #expect(opened[1].size.tokens == plain[1].size.tokens && opened[0].size.tokens > plain[0].size.tokens)
        #expect(try opened[0].encoder.tokens(0) != opened[2].encoder.tokens(0))
        #expect(try opened[1].encoder.tokens(0) == plain[0].encoder.tokens(0))
        // A document that no sequence holds is left, and told of.
        let short = try cache.open(sources, layout: blankLayout(), infilling: infilling, length: 64)
        let warnings = short.map { $0.warnings(ofSequences: 64) }
        #expect(warnings[0].count == 1 && warnings[0][0].contains("longer than a sequence of 64 tokens"))
        #expect(warnings[1].isEmpty)
    }

    /// A pipe is empty when it is read a second time.
    @Test func aPipeIsReadOnce() throws {
        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: Data("{\"text\": \"A row of cells.\"}\n".utf8))
        try pipe.fileHandleForWriting.close()
        let sources = [TextSource(path: "/dev/fd/\(pipe.fileHandleForReading.fileDescriptor)")]
        let marks = InfillingTokens(prefix: 900, suffix: 901, middle: 902, end: nil)
        var cache = SourceCache(tokenizer: try #require(tokenizer), vocabularySize: 1_024)
        var counts: [Int] = []
        for infilling in [nil, Infilling(rate: 1, spm: 0.5, tokens: marks, seed: 0), nil] {
            counts.append(try cache.open(sources, layout: blankLayout(), infilling: infilling)[0].size.tokens)
        }
        #expect(counts[1] > counts[0] && counts[2] == counts[0])
    }

    // MARK: In a run

    /// The blank model, three of whose tokens that no text of these has are added ones.
    private func markedModel() throws {
        try blankModel(in: folder)
        var json = try JSON.read(path: folder.path("tokenizer.json"))
        let list = try #require(json["added_tokens"]?.array)
        let marks = try ["^", "~", "`"].map { token -> JSON in
            [
                "id": try #require(json["model"]?["vocab"]?[token]), "content": .string(token),
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false,
            ]
        }
        json["added_tokens"] = .array(list + marks)
        try folder.write("tokenizer.json", json.serialized())
    }

    /// A run of the marked model on two sources.
    private func run(
        _ output: String, threads: Int = 1, resume: Bool = false,
        change: (inout TrainingJob) -> Void = { _ in }
    ) throws -> JobRun {
        var run = JobRun(on: folder.path, to: folder.path(output))
        (run.job.fromScratch, run.job.noTensorboard, run.job.moments) = (true, true, .f32)
        let texts = (0..<80).map { #"{"text": "def f\#($0)(x):\n  return x + \#($0)\n"}"# }
        try folder.write("code.jsonl", texts.joined(separator: "\n"))
        run.job.data = [TextSource(name: "code", path: folder.path("code.jsonl"), weight: 3)]
        run.job.replay = [TextSource(name: "ko", path: example("data/korean.val.jsonl"))]
        (run.job.infill, run.job.infillTokens) = (0.9, ["^", "~", "`"])
        (run.job.steps, run.job.batch, run.job.checkpointEvery) = (6, 2, 2)
        (run.options.threads, run.options.resume) = (threads, resume)
        change(&run.job)
        return run
    }

    @Test func aRunIsTheSameOnAnyThreadsAndThroughResume() throws {
        try markedModel()
        try #require(run("straight").prepared().stages[0].infilled[0].psm > 20)
        try run("straight")()
        try run("threads", threads: 3)()
        let expected = try folder.bytes("straight/model.safetensors")
        #expect(try folder.bytes("threads/model.safetensors") == expected)
        var steps = 0
        do {
            let loop = try TrainingLoop(run("stopped").prepared()) { if case .step = $0 { steps += 1 } }
            #expect(throws: UserFacingError.self) { try loop { steps >= 3 } }
        }
        let error = #expect(throws: UserFacingError.self) {
            try run("stopped", resume: true) { $0.infillSpm = 0.25 }()
        }
        #expect(error?.message.contains("infilling.spm is 0.25, was 0.5") == true, "\(error?.message ?? "")")
        try run("stopped", resume: true)()
        #expect(try folder.bytes("stopped/model.safetensors") == expected)
        try run("plain") { ($0.infill, $0.infillTokens) = (0, []) }()
        #expect(try folder.bytes("plain/model.safetensors") != expected)
    }

    @Test func aStageMayLeaveItOut() throws {
        try markedModel()
        let prepared = try run("stages") {
            $0.stages = [TrainingStage(["steps": 2]), TrainingStage(["infill": 0, "steps": 2])]
        }.prepared()
        #expect(prepared.stages[0].plan.infilling?.rate == 0.9 && prepared.stages[1].plan.infilling == nil)
        // Other documents are other data.
        #expect(!prepared.stages[1].goesOn && prepared.stages[1].plan.seed == 1)
        let same = try run("stages") {
            $0.stages = [TrainingStage(["steps": 2]), TrainingStage(["lr": 1e-4, "steps": 2])]
        }.prepared()
        #expect(same.stages[1].goesOn && same.stages[1].plan.infilling == same.stages[0].plan.infilling)
        #expect(prepared.stages[0].infilled.map(\.name) == ["code", "ko"])
    }

    // MARK: What is refused

    @Test func tokensAreFoundByName() throws {
        func tokenizer(_ added: [String]) throws -> Tokenizer {
            var json = try JSON.read(path: example("blank/tokenizer.json"))
            let list = try #require(json["added_tokens"]?.array)
            json["added_tokens"] = .array(
                list
                    + added.enumerated().map { index, token in
                        [
                            "id": JSON(1_024 + index), "content": .string(token), "single_word": false,
                            "lstrip": false, "rstrip": false, "normalized": false, "special": true,
                        ]
                    })
            return try Tokenizer(json: json, file: "a test")
        }
        func found(_ added: [String], _ names: [String] = [], rows: Int = 2_000) throws -> [Int32?] {
            let tokens = try InfillingTokens(names, in: tokenizer(added), path: "model", rows: rows)
            return [tokens.prefix, tokens.suffix, tokens.middle, tokens.end]
        }
        #expect(try found(["▁<PRE>", "▁<MID>", "▁<SUF>", "▁<EOT>"]) == [1_024, 1_026, 1_025, 1_027])
        #expect(try found(["<fim_prefix>", "<fim_middle>", "<fim_suffix>"]) == [1_024, 1_026, 1_025, nil])
        #expect(
            try found(["<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"]) == [1_024, 1_026, 1_025, nil])
        #expect(
            try found(["<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>"]) == [1_025, 1_024, 1_026, nil])
        #expect(try found(["<PRE>", "<SUF>", "<MID>", "<EOT>"]) == [1_024, 1_025, 1_026, 1_027])
        #expect(try found(["x1", "x2", "x3"], ["x3", "x1", "x2"]) == [1_026, 1_024, 1_025, nil])
        #expect(throws: UserFacingError.noInfillingTokens(path: "model")) {
            try found(["<PRE>", "<SUF>", "<MID>"])
        }
        #expect(throws: UserFacingError.unknownInfillingToken(path: "model", token: "x4")) {
            try found(["x1"], ["x1", "x4", "x2"])
        }
        #expect(throws: UserFacingError.tokenOutOfRange(path: "model", token: 1_026, vocabularySize: 1_026)) {
            try found(["<PRE>", "<SUF>", "<MID>", "<EOT>"], rows: 1_026)
        }
    }

    /// Marks that mean something else, or of which texts are made; texts that spell one.
    @Test func whatIsNoMark() throws {
        try markedModel()
        var json = try JSON.read(path: example("blank/tokenizer.json"))
        json["model"]?["unk_token"] = "<unk>"
        let knowing = try Tokenizer(json: json, file: "a test")
        for (mark, reason) in [
            (Int32(0), "'<unk>' can't be a token of infilling, for it is the unknown token"),
            (1, "'<s>' can't be a token of infilling, for it begins a document"),
        ] {
            let error = #expect(throws: UserFacingError.self) {
                try InfillingTokens(prefix: mark, suffix: 96, middle: 66, end: nil)
                    .check(in: knowing, blankLayout(), path: "model")
            }
            #expect(error?.message.hasPrefix("model: \(reason)") == true, "\(error?.message ?? "")")
        }
        for (names, reason) in [
            (["~", "`", "^", "</s>"], "'</s>' can't be a token of infilling, for it ends one"),
            (["~", "`", "a"], "'a' can't be a token of infilling, for it is of the ordinary vocabulary"),
        ] {
            let error = #expect(throws: UserFacingError.self) {
                try run("out") { $0.infillTokens = names }.prepared()
            }
            #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
        }
        let texts = (0..<80).map { #"{"text": "def f\#($0)(x): return ~x\#($0 % 2 == 0 ? "" : " + 1")"}"# }
        let spelling = try folder.write("spelling.jsonl", texts.joined(separator: "\n"))
        let prepared = try run("out") {
            ($0.data, $0.infill) = ([TextSource(name: "code", path: spelling)], 1)
        }.prepared()
        let infilled = prepared.stages[0].infilled[0]
        #expect(infilled.psm + infilled.spm == 0 && infilled.documents == 80)
        #expect(
            prepared.warnings.contains {
                $0.contains("80 of 80 documents are not turned round for infilling, for they spell one")
            }, "\(prepared.warnings)")
    }

    /// What changes texts, and tokens that can't be cut.
    @Test func whatCanNotBeCut() throws {
        var json = try JSON.read(path: example("blank/tokenizer.json"))
        try #require(tokenizer).checkInfilling(path: "model")
        json["normalizer"] = ["type": "Lowercase"]
        let lower = try Tokenizer(json: json, file: "a test")
        #expect(throws: UserFacingError.changingTokenizer(path: "model", part: "B\u{E9}")) {
            try lower.checkInfilling(path: "model")
        }
        let packed = folder.path("packed.safetensors")
        try markedModel()
        _ = try Tokenization(
            of: [example("data/english.val.jsonl")], by: .open(folder.path), threads: 1
        ).write(to: packed, tool: "test")
        #expect(throws: UserFacingError.infillingOfTokens(path: packed)) {
            try run("out") { $0.data = [TextSource(path: packed)] }.prepared()
        }
        // As replay they are read as ever.
        _ = try run("out") { $0.replay = [TextSource(path: packed)] }.prepared()
    }

    @Test func badJobs() throws {
        let cases: [((inout TrainingJob) -> Void, String)] = [
            ({ $0.infill = 1.1 }, "--infill must be from 0 to 1, not 1.1"),
            ({ ($0.infill, $0.infillSpm) = (0.9, -1) }, "--infill-spm must be from 0 to 1"),
            ({ $0.infillSpm = 0.2 }, "are of --infill; give a rate"),
            ({ $0.infillTokens = ["a", "b", "c"] }, "are of --infill; give a rate"),
            ({ ($0.infill, $0.data) = (0.9, []) }, "turns the documents of --data round, and there are none"),
            ({ ($0.infill, $0.infillTokens) = (0.9, ["a", "b"]) }, "three or four different ones"),
            ({ ($0.infill, $0.infillTokens) = (0.9, ["a", "b", "a"]) }, "three or four different ones"),
        ]
        for (change, message) in cases {
            var job = TrainingJob()
            (job.data, job.replay) = ([TextSource(path: "x.jsonl")], [TextSource(path: "y.jsonl")])
            change(&job)
            let error = #expect(throws: UserFacingError.self) { try job.check(prefix: "--") }
            #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
        }
    }
}
