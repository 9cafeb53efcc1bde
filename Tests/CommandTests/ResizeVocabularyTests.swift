import Formats
import Models
import Foundation
import Surgery
import Testing

/// The tiny base model that comes with the project, taught the tokens of its own Korean sample.
@Suite("surgery resize-vocab")
struct ResizeVocabularyTests {
    private static let examples = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Examples")

    /// A folder with a copy of the base model in it.
    private func folder() throws -> ModelFolder {
        let folder = try ModelFolder()
        try FileManager.default.removeItem(at: folder.model)
        try FileManager.default.copyItem(at: Self.examples.appending(path: "base"), to: folder.model)
        return folder
    }

    private func corpus(_ name: String = "korean.train.jsonl") -> String {
        Self.examples.appending(path: "data/\(name)").path
    }

    /// Corpus, list and tokenizer are as little replaced as the model is.
    @Test(arguments: ["--corpus", "--held-out", "--tokens", "--tokenizer"])
    func whatItReadsIsNoOutput(option: String) throws {
        let folder = try folder()
        let old = folder.url.appending(path: "old")
        try FileManager.default.copyItem(at: folder.model, to: old)
        let text = try String(contentsOfFile: corpus("korean.val.jsonl"), encoding: .utf8)
        let file = old.appending(path: option == "--tokens" ? "list.txt" : "ko.jsonl")
        try Data((option == "--tokens" ? "한국어" : text).utf8).write(to: file)
        let arguments =
            switch option {
            case "--corpus": ["--learn", "10", "--corpus", "old/ko.jsonl"]
            case "--held-out": ["--learn", "10", "--corpus", corpus(), "--held-out", "old/ko.jsonl"]
            case "--tokens": ["--tokens", "old/list.txt"]
            default: ["--tokenizer", "old"]
            }
        let before = try folder.contents()
        let run = try CommandRun(
            ["resize-vocab", "base"] + arguments + ["-o", "old", "--force"], in: folder.url)
        #expect(run.code == 64 && run.messages.contains("it is or holds old"), "\(run.messages)")
        #expect(try folder.contents() == before)
    }

    @Test func learnsAndProvesIt() throws {
        let folder = try folder()
        let before = try folder.contents()
        let arguments = [
            "resize-vocab", "base", "--learn", "200", "--corpus", corpus(), "--held-out",
            corpus("korean.val.jsonl"),
            corpus("english.val.jsonl"), "-o", "out",
        ]
        let dry = try CommandRun(arguments + ["--dry-run"], in: folder.url)
        #expect(dry.code == 0 && dry.messages.contains("nothing was written"), "\(dry.messages)")
        #expect(try folder.names() == ["base"])
        let run = try CommandRun(arguments + ["--json"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(run.messages.contains("200 new, all of them reachable"))
        #expect(try folder.contents() == before)
        let json = try run.json()
        let rows = try #require(json["rows"]?["before"]?.int)
        #expect(json["rows"]?["after"]?.int == rows + 200 && json["rows"]?["new"] == 200)
        for text in try #require(json["text"]?.array) {
            let (old, new) = (
                text["bytes_per_token_before"]?.double ?? 0, text["bytes_per_token_after"]?.double ?? 0
            )
            #expect(text["path"]?.string?.contains("english") == true ? new >= old : new > 1.3 * old)
        }
        let configuration = try JSON(
            parsing: Array(folder.contents(of: "out")["config.json"] ?? Data()), file: "")
        #expect(configuration["vocab_size"]?.int == rows + 200)
        let verify = try CommandRun(["verify", "out"], in: folder.url)
        #expect(verify.code == 0, "\(verify.messages)")
        let inspect = try CommandRun(["inspect", "out"], in: folder.url)
        #expect(inspect.code == 0, "\(inspect.messages)")
        let evaluation = try CommandRun(
            ["eval", "out", "--data", "ko=\(corpus("korean.val.jsonl"))", "--length", "64"], of: "trainer",
            in: folder.url)
        #expect(evaluation.code == 0, "\(evaluation.messages)")
        // A byte of a new row changed: no longer what the manifest makes.
        let file = folder.url.appending(path: "out/model.safetensors")
        var bytes = try Data(contentsOf: file)
        let tensor = try #require(
            try Checkpoint.open(folder.url.appending(path: "out").path)["model.embed_tokens.weight"])
        guard case .leaf(let stored) = tensor.node, let range = stored.fileRange else { return }
        bytes[range.offset + range.count - 3] ^= 1
        try bytes.write(to: file)
        #expect(try CommandRun(["verify", "out"], in: folder.url).code == 2)
    }

    @Test func composesWithDepthUpScalingInOnePass() throws {
        let folder = try folder()
        let source = try Checkpoint.open(folder.model.path)
        let files = TokenizerFiles(of: source.auxiliaryFiles, path: source.path)
        let old = try files.tokenizer()
        let learned = try old.learning(50, from: Documents(paths: [corpus()]), threads: 2)
        let resize = VocabularyResize(.extended(VocabularyExtension(learned, for: old)))
        let deep = try source.depthUpScaled(DepthUpScaling(to: source.layers().count + 1)).checkpoint
        let both = try deep.vocabularyResized(resize).checkpoint
        let plan = try CheckpointWriter().plan(both, to: folder.url.appending(path: "both").path)
        // Each byte once: what is written is the result's own size, and all but the new rows is copied in the kernel.
        #expect(plan.byteCount - plan.copiedByteCount < both.byteCount / 4)
        try CheckpointWriter().write(both, to: folder.url.appending(path: "both").path)
        let other = try source.vocabularyResized(resize).checkpoint.depthUpScaled(
            DepthUpScaling(to: source.layers().count + 1)
        ).checkpoint
        try CheckpointWriter().write(other, to: folder.url.appending(path: "other").path)
        #expect(try folder.tensors(of: "both") == folder.tensors(of: "other"))
        let opened = try Checkpoint.open(folder.url.appending(path: "both").path)
        #expect(opened.manifest?.operations.map(\.name) == ["dus", "resize-vocab"])
        #expect(try verify(opened).isComplete)
    }

    @Test func runsStepsAndWritesOnce() throws {
        let folder = try folder()
        let layers = try Checkpoint.open(folder.model.path).layers().count
        let steps = [
            "dus --to \(layers + 1)", "resize-vocab --learn 20 --corpus '\(corpus())'", "convert --dtype f32",
        ]
        let run = try CommandRun(
            ["run", "base", "-o", "out", "--json"] + steps.flatMap { ["--step", $0] }, in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(try run.json()["steps"]?.array?.map { $0["name"]?.string } == steps)
        #expect(try folder.names() == ["base", "out"])
        let verify = try CommandRun(["verify", "out"], in: folder.url)
        #expect(verify.code == 0, "\(verify.messages)")
        let manifest = try Checkpoint.open(folder.url.appending(path: "out").path).manifest
        #expect(manifest?.operations.map(\.name) == ["dus", "resize-vocab", "convert"])
        for (step, message) in [
            ("shrink --to 3", "begins with dus, layers, expand, prune, resize-vocab, convert"),
            ("dus --tto 3", "Missing expected argument '--to <to>'"),
            ("dus --to 9 -o x", "-o stands behind surgery run"),
            ("dus base --to 9", "the model base stands behind"),
        ] {
            let refused = try CommandRun(["run", "base", "-o", "no", "--step", step], in: folder.url)
            #expect(refused.code == 64 && refused.messages.contains(message), "\(refused.messages)")
        }
        #expect(try folder.names() == ["base", "out"])
    }

    @Test func addsGivenTokens() throws {
        let folder = try folder()
        try Data("한국어\n자바스크립트\n".utf8).write(to: folder.url.appending(path: "tokens.txt"))
        let merges = try CommandRun(
            ["resize-vocab", "base", "--tokens", "tokens.txt", "-o", "m"], in: folder.url)
        #expect(merges.code == 0, "\(merges.messages)")
        let tokenizer = try Tokenizer.open(folder.url.appending(path: "m").path)
        for text in ["한국어", "자바스크립트"] {
            #expect(try tokenizer.encode(text, addSpecialTokens: false).count == 1)
        }
        try Data("<|user|>\n".utf8).write(to: folder.url.appending(path: "special.txt"))
        let refused = try CommandRun(
            ["resize-vocab", "base", "--tokens", "special.txt", "-o", "s"], in: folder.url)
        #expect(refused.code == 2 && refused.messages.contains("--tokens-as added"), "\(refused.messages)")
        let special = try CommandRun(
            ["resize-vocab", "base", "--tokens", "special.txt", "--tokens-as", "special", "-o", "s"],
            in: folder.url)
        #expect(special.code == 0, "\(special.messages)")
        #expect(try CommandRun(["verify", "s"], in: folder.url).code == 0)
    }

    @Test func tellsOfTheLinesOfTokens() throws {
        let folder = try folder()
        func run(_ lines: String, _ more: String...) throws -> CommandRun {
            try Data(lines.utf8).write(to: folder.url.appending(path: "t.txt"))
            return try CommandRun(
                ["resize-vocab", "base", "--tokens", "t.txt", "-o", "o", "--force", "--json"] + more,
                in: folder.url)
        }
        // A byte order mark is no part of the first token.
        let known = try run("\u{FEFF}\u{C7}xyzzy\na\n\n a\n")
        #expect(
            known.code == 2 && known.messages.contains("t.txt, line 2 (\"a\"), line 4 (\" a\") can't"),
            "\(known.messages)")
        #expect(known.messages.contains("the tokenizer has them already"))
        let twice = try run("xyzzyx\nplugh\nxyzzyx\n")
        #expect(twice.code == 2 && twice.messages.contains("t.txt, line 3 (\"xyzzyx\")"), "\(twice.messages)")
        // Tokens that are spelled in bytes: what an added token has of é is read as one byte.
        let garbled = try run("Bác\nkwaśny\n đường\nécole\n", "--tokens-as", "added")
        #expect(
            garbled.code == 2 && garbled.messages.contains("t.txt, line 1 (\"Bác\"), line 4 (\"école\")"),
            "\(garbled.messages)")
        let merged = try run("école\nthexyz\n xyzzyx\nxyzzyx\n")
        #expect(
            merged.code == 0 && merged.messages.contains("never used behind a space"), "\(merged.messages)")
        #expect(try merged.json()["unused_behind_space"] == ["thexyz"])
        let opened = try Tokenizer.open(folder.url.appending(path: "o").path)
        #expect(try opened.encode("école", addSpecialTokens: false).count == 1)
        #expect(try opened.decode(opened.encode("a xyzzyx", addSpecialTokens: false)) == "a xyzzyx")
    }

    @Test func anotherTokenizerAndBack() throws {
        let folder = try folder()
        let learned = try CommandRun(
            ["resize-vocab", "base", "--learn", "100", "--corpus", corpus(), "-o", "grown"], in: folder.url)
        #expect(learned.code == 0, "\(learned.messages)")
        let back = try CommandRun(
            ["resize-vocab", "grown", "--tokenizer", "base", "-o", "back"], in: folder.url)
        #expect(back.code == 0, "\(back.messages)")
        #expect(try folder.tensors(of: "back") == folder.tensors(of: "base"))
        #expect(try folder.contents(of: "back")["tokenizer.json"] == folder.contents()["tokenizer.json"])
        let size = try CommandRun(
            ["resize-vocab", "base", "--size", "1601", "--pad-to-multiple-of", "64", "-o", "sized"],
            in: folder.url)
        #expect(size.code == 0, "\(size.messages)")
        #expect(try CommandRun(["verify", "sized"], in: folder.url).code == 0)
    }

    /// A donor whose new rows are sums of old ones shows just these sums.
    @Test func takesRowsOverFromAnotherModel() throws {
        let folder = try folder()
        let learned = try CommandRun(
            ["resize-vocab", "base", "--learn", "12", "--corpus", corpus(), "-o", "donor"], in: folder.url)
        #expect(learned.code == 0, "\(learned.messages)")
        let wanted = try rows(of: "donor", in: folder)
        for (method, tolerance) in [("omp", Float(0.05)), ("nearest", 1)] {
            let run = try CommandRun(
                ["resize-vocab", "base", "--tokenizer", "donor", "--init", method, "-o", method],
                in: folder.url)
            #expect(run.code == 0, "\(run.messages)")
            #expect(try CommandRun(["verify", method], in: folder.url).code == 0)
            let found = try rows(of: method, in: folder)
            var (distance, size) = (Float(0), Float(0))
            for (one, other) in zip(found, wanted) {
                distance += (one - other) * (one - other)
                size += other * other
            }
            #expect(found.count == wanted.count && distance < tolerance * tolerance * size, "\(method)")
        }
    }

    /// The numbers of the embedding's last 12 rows.
    private func rows(of name: String, in folder: ModelFolder) throws -> [Float] {
        let checkpoint = try Checkpoint.open(folder.url.appending(path: name).path)
        let embedding = try #require(checkpoint["model.embed_tokens.weight"])
        return try embedding.rows(embedding.shape[0] - 12..<embedding.shape[0]).floats()
    }

    /// One sentence, the exit code, nothing written.
    @Test(arguments: [
        (["--learn", "5"], 64, "learn and corpus go together"),
        ([], 64, "give one of learn, tokenizer, tokens and size"),
        (["--size", "9000", "--learn", "3", "--corpus", "c.jsonl"], 64, "give one of"),
        (["--learn", "5", "--corpus", "bad.jsonl"], 2, "bad.jsonl, line 2: it is not JSON"),
        (["--learn", "5", "--corpus", "empty.jsonl"], 2, "no text in it"),
        (["--learn", "5", "--corpus", "nowhere.txt"], 2, "nowhere.txt"),
        (["--learn", "500", "--corpus", "short.txt"], 2, "not 500"),
        (["--size", "10"], 64, "are fewer than the tokenizer has tokens"),
        (["--size", "9000", "--init", "subword-mean"], 64, "have no text to begin with"),
        (["--size", "9000", "--init", "omp"], 64, "looks at the rows of a model that has the new tokens"),
        (["--tokenizer", "."], 2, "has no tokenizer.json"),
        (["--size", "9000", "--pad-to-multiple-of", "0"], 64, "multiple of 0"),
        (["--size", "9000", "--drop-padding"], 64, "drop-padding goes with learn and tokens"),
        (["--tokenizer", ".", "--drop-padding"], 64, "drop-padding goes with learn and tokens"),
        (["--size", "9000", "--tokens-as", "added"], 64, "tokens-as goes with tokens"),
        (["--size", "9000", "--nfc"], 64, "go with corpus or held-out"),
    ])
    func refuses(_ arguments: [String], _ code: Int32, _ message: String) throws {
        let folder = try folder()
        for (name, text) in [
            ("bad.jsonl", "{\"text\": \"a\"}\nnope\n"), ("empty.jsonl", "\n"), ("short.txt", "한국어 한국어\n"),
        ] { try Data(text.utf8).write(to: folder.url.appending(path: name)) }
        let names = try folder.names()
        let run = try CommandRun(["resize-vocab", "base"] + arguments, in: folder.url)
        #expect(run.code == code, "\(run.messages)")
        #expect(run.messages.contains(message), "\(run.messages)")
        #expect(run.output == "")
        #expect(try folder.names() == names)
    }
}
