import Formats
import Foundation
import TestSupport
import Testing

@Suite("trainer tokenize, eval, heal, bench, analyze, generate, report, export")
struct TrainerCommandTests {
    private let temporary: TemporaryFolder
    private var folder: URL { temporary.url }

    init() throws { temporary = try TemporaryFolder() }

    private static let examples = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Examples").standardized.path()

    private func trainer(_ arguments: String...) throws -> CommandRun {
        try CommandRun(
            arguments.map { $0.replacing("@", with: Self.examples + "/") }, of: "trainer", in: folder)
    }

    /// A short heal of the example's base model, given more arguments.
    private static let heal = [
        "heal", "\(examples)/base", "--replay", "\(examples)/data/english.val.jsonl", "--steps", "24",
        "--batch", "2",
        "--length", "32", "--lr", "1e-3",
    ]

    private func heal(_ more: String...) throws -> CommandRun { try heal(more) }

    private func heal(_ more: [String]) throws -> CommandRun {
        try CommandRun(Self.heal + more, of: "trainer", in: folder)
    }

    /// The last step that is kept of the run for the output `stopped`.
    private var lastStep: Int {
        let names =
            (try? FileManager.default.contentsOfDirectory(atPath: folder.path() + "/stopped.run")) ?? []
        return names.compactMap { Int($0.trimmingPrefix("step-")) }.max() ?? 0
    }

    private func exists(_ name: String) -> Bool {
        FileManager.default.fileExists(atPath: folder.appending(path: name).path())
    }

    @Test(arguments: [
        "tokenize", "eval", "heal", "bench", "analyze", "generate", "report", "export", "adopt", "hand-off",
    ])
    func explainsItself(
        command: String
    )
        throws
    {
        let run = try trainer(command, "--help")
        #expect(run.code == 0 && run.output.contains("USAGE: trainer \(command)"))
    }

    /// Every command finds a model by its name on the hub where the hub's cache has it.
    @Test(arguments: [
        ["tokenize", "some/model", "\(examples)/data/english.val.jsonl"],
        ["plan", "some/model", "--steps", "2"],
        ["bench", "some/model", "--steps", "1", "--batch", "1", "--length", "16"],
    ])
    func aModelInTheHubsCache(arguments: [String]) throws {
        let cache = folder.appending(path: "cache/hub/models--some--model")
        for name in ["snapshots", "refs"] {
            try FileManager.default.createDirectory(
                at: cache.appending(path: name), withIntermediateDirectories: true)
        }
        try FileManager.default.createSymbolicLink(
            at: cache.appending(path: "snapshots/abc"),
            withDestinationURL: URL(filePath: Self.examples + "/base"))
        try Data("abc\n".utf8).write(to: cache.appending(path: "refs/main"))
        let run = try CommandRun(
            arguments, of: "trainer", in: folder,
            environment: ["HF_HOME": folder.appending(path: "cache").path()])
        #expect(run.code == 0, "\(run.messages)")
        var other = arguments
        other[1] = "some/other"
        let none = try CommandRun(other, of: "trainer", in: folder)
        #expect(none.code != 0 && none.messages.contains("some/other"), "\(none.messages)")
    }

    /// A run is planned here and handed to another framework; what that can't do is named, and given up only on purpose.
    @Test func plannedRunsAreHandedOver() throws {
        let plan = try heal(
            "--stages", "steps: 2", "steps: 3", "--on", "torchrun", "--device", "cpu", "--plan-only", "-o",
            "planned")
        #expect(plan.code == 0, "\(plan.messages)")
        #expect(try trainer("hand-off", "planned.cluster").code == 64)
        #expect(try trainer("hand-off", "planned.cluster", "--to", "axolotl", "--golden", "0").code == 64)
        let words = ["hand-off", "planned.cluster", "--to", "automodel"]
        func handOff(_ more: String...) throws -> CommandRun {
            try CommandRun(words + more, of: "trainer", in: folder)
        }
        let unknown = try handOff("--without", "rates")
        #expect(unknown.code == 64 && unknown.messages.contains("'rates' is none of stages, frozen-rows"))
        let stage = try handOff("--stage", "3")
        #expect(stage.code == 64 && stage.messages.contains("the run has 2 stages, and --stage is 3"))
        let refused = try handOff()
        #expect(refused.code != 0 && refused.messages.contains("--without stages goes on without it"))
        #expect(!exists("planned-automodel"))
        let done = try handOff("--without", "stages", "--golden", "1", "--json")
        #expect(done.code == 0 && done.messages.isEmpty, "\(done.messages)")
        let json = try done.json()
        #expect(json["folder"]?.string?.hasSuffix("planned-automodel") == true)
        #expect(json["first_loss"]?.isNull == true && json["not_done"]?.array?.isEmpty == false)
        #expect(json["given_up"]?.array?.map { $0["name"]?.string } == ["stages"])
        #expect(exists("planned-automodel/launch.sh"))
        let again = try handOff("--without", "stages", "--golden", "1")
        #expect(again.code == 64 && again.messages.contains("is there already; give another -o, or --force"))
    }

    /// What is of a run here is not taken by a plan, which starts nothing.
    @Test(arguments: [
        (["--max-time", "1h"], "give worker.py --max-time SECONDS where it is started"),
        (["--log", "steps.jsonl"], "are not kept with --plan-only"),
        (["--no-tensorboard"], "are not kept with --plan-only"),
    ])
    func plansStartNothing(more: [String], message: String) throws {
        let run = try heal(["--on", "torchrun", "--plan-only", "-o", "planned"] + more)
        #expect(run.code == 64 && run.messages.contains(message), "\(run.messages)")
        #expect(!exists("planned.cluster"))
    }

    /// A plan for another machine needs neither its Python nor its memory, and says nothing of this one's.
    @Test func plansAreOfAnotherMachine() throws {
        let words = [
            "--on", "torchrun", "--hosts", "2", "--python", "missing", "--plan-only", "--json", "-o",
            "planned",
        ]
        for how in ["--dry-run", "--explain"] {
            let run = try heal(words + [how])
            #expect(run.code == 0 && !exists("planned.cluster"), "\(run.messages)")
            let json = try run.json()
            #expect(json["memory_bytes"]?.isNull == true && json["steps"] == 24)
            #expect((json["job"] != nil) == (how == "--explain") && json["threads"] == nil)
            let refused = try heal(words + [how, "--moments", "8bit"])
            #expect(refused.code != 0 && refused.messages.contains("8bit"), "\(refused.messages)")
        }
        let plan = try heal(words)
        #expect(try plan.json()["folder"]?.string.map { Path.name($0) } == "planned.cluster")
        #expect(exists("planned.cluster/job.json"))
    }

    @Test func evalTellsProgramsWhatASetIs() throws {
        let run = try trainer(
            "eval", "@base", "--data", "en=@data/english.val.jsonl", "ko=@data/korean.val.jsonl", "--length",
            "64",
            "--json")
        #expect(run.code == 0 && run.messages.isEmpty)
        let json = try run.json()
        // Laid out as surgery lays it out, in the one spacing.
        #expect(run.output == String(decoding: json.serialized(indent: 2), as: UTF8.self) + "\n")
        #expect(json.object?.keys == ["sets"])
        #expect(json["sets"]?.object?.keys.sorted() == ["en", "ko"])
        let english = try #require(json["sets"]?["en"]?.object)
        #expect(
            english.keys.sorted() == [
                "bits_per_byte", "bytes", "end_of_text", "loss", "perplexity", "tokens",
            ])
        #expect(english["bytes"] == 8_114)
        let (loss, tokens) = (try #require(english["loss"]?.double), try #require(english["tokens"]?.double))
        let bits = loss * tokens / log(2) / 8_114
        #expect(abs(try #require(english["bits_per_byte"]?.double) - bits) < 1e-9)
    }

    /// What is measured is what pruning takes, and no other model takes it.
    @Test func analyzeMeasuresForPruning() throws {
        let run = try trainer(
            "analyze", "@base", "--data", "@data/english.val.jsonl", "--tokens", "300", "--length", "64",
            "--iterative", "--to", "5", "-o", "scores.json", "--svg", "layers.svg", "--json")
        #expect(run.code == 0, "\(run.messages)")
        let json = try run.json()
        #expect(
            json.object?.keys.sorted() == [
                "angular_distance", "angular_distance_all_tokens", "block_influence", "iterative", "loss",
                "loss_repeated", "loss_without", "model", "text",
            ])
        #expect(json["text"]?["tokens"] == 300 && json["model"]?["layers"] == 8)
        #expect(try temporary.bytes("scores.json") == Array(run.output.utf8))
        #expect(String(decoding: try temporary.bytes("layers.svg"), as: UTF8.self).hasPrefix("<svg "))
        #expect(run.messages.contains("read 300 tokens of ") && run.messages.contains("wrote scores.json"))
        let again = try trainer(
            "analyze", "@base", "--data", "@data/english.val.jsonl", "-o", "scores.json")
        #expect(again.code == 64 && again.messages.contains("--force to replace it"))

        let base = Self.examples + "/base"
        let pruned = try CommandRun(
            ["prune", base, "--to", "6", "--scores", "scores.json", "-o", "pruned", "--json"], in: folder)
        #expect(pruned.code == 0, "\(pruned.messages)")
        let removed = json["iterative"]?["removed"]?.array?.prefix(2).compactMap(\.int) ?? []
        let kept = (0..<8).filter { !removed.contains($0) }
        #expect(try pruned.json()["layers"]?["origins"]?.array?.compactMap(\.int) == kept)
        #expect(pruned.messages.contains("warning: healing brings back"))
        let more = try CommandRun(
            ["prune", base, "--to", "4", "--scores", "scores.json", "-o", "more"], in: folder)
        #expect(more.code == 2 && more.messages.contains("an order in which 4 layers go"))
        let deeper = try CommandRun(["dus", "pruned", "--to", "8", "-o", "deeper"], in: folder)
        #expect(deeper.code == 0)
        let other = try CommandRun(
            ["prune", "deeper", "--to", "6", "--scores", "scores.json", "-o", "other"], in: folder)
        #expect(other.code == 2 && other.messages.contains("scores of another model") && !exists("other"))
    }

    @Test(arguments: [
        (["--tokens", "9"], "give text to measure on"),
        (["--data", "x", "--to", "3"], "go with --iterative"),
        (["--data", "x", "--by", "loss"], "go with --iterative"),
        (["--data", "x", "--tokens", "0"], "at least 1"),
        (["--data", "x", "-o", "a", "--svg", "./a"], "name the same file"),
        (["--data", "x", "--force"], "--force goes with"),
    ])
    func analyzeRefuses(arguments: [String], message: String) throws {
        let run = try CommandRun(
            ["analyze", Self.examples + "/base"] + arguments, of: "trainer", in: folder)
        #expect(run.code == 64 && run.messages.contains(message), "\(run.messages)")
    }

    /// A place where nothing can be written is told before anything is measured, and nothing is left behind.
    @Test func analyzeWritesWholeFilesOrNone() throws {
        let nowhere = try trainer(
            "analyze", "@base", "--data", "@data/english.val.jsonl", "-o", "missing/scores.json")
        #expect(nowhere.code != 0 && nowhere.messages.contains("missing"))
        let wrong = try trainer("analyze", "@base", "--data", "missing.jsonl", "-o", "scores.json")
        #expect(wrong.code == 2 && !exists("scores.json") && !exists("scores.json.partial"))
    }

    /// What of the model's folder won't be in the result is told before anything is computed, as surgery tells it.
    @Test func healSaysWhatItLeavesBehind() throws {
        let model = try temporary.copy(of: Self.examples + "/base", as: "model")
        _ = try temporary.write("model/optimizer.pt", "moments")
        for more in [[], ["--from-scratch"]] {
            let run = try CommandRun(
                ["heal", model, "--data", Self.examples + "/data/korean.val.jsonl", "--steps", "1"] + more
                    + ["--dry-run", "--json"], of: "trainer", in: folder)
            let left = try run.json()["left_behind"]?.array?.compactMap { $0["name"]?.string }
            #expect(left == (more.isEmpty ? [] : ["model.safetensors"]) + ["optimizer.pt"])
            #expect(
                run.messages.contains("left behind  optimizer.pt (a trace of training)"), "\(run.messages)")
        }
    }

    /// A file that two sources have, or a set and a source, whatever link leads to it.
    @Test func healSaysWhichTextsItReadsTwice() throws {
        let text = Self.examples + "/data/english.val.jsonl"
        try FileManager.default.createSymbolicLink(
            atPath: temporary.path("link.jsonl"), withDestinationPath: text)
        func messages(_ more: String...) throws -> String {
            try heal(["--dry-run"] + more).messages
        }
        let apart = try messages("--eval", "ko=\(Self.examples)/data/korean.val.jsonl")
        #expect(!apart.contains("both read") && !apart.contains("is trained on"))
        let twice = try messages("--data", "more=link.jsonl")
        #expect(
            twice.contains(
                "warning: 'more' and '\(text)' both read link.jsonl, so it is shown for the share of each"))
        let learned = try messages("--eval", "en=link.jsonl")
        #expect(learned.contains("warning: the set 'en' reads link.jsonl, which is trained on"))
    }

    @Test func tokenizeShowsCountsAndPacks() throws {
        let file = "@data/korean.val.jsonl"
        let figures = try trainer("tokenize", "@base", file, "--json")
        #expect(figures.code == 0 && figures.messages.isEmpty)
        let json = try figures.json()
        #expect(
            json.object?.keys == [
                "byte_order_marks", "bytes", "bytes_per_token", "carriage_returns", "control_tokens",
                "decomposed_hangul", "documents", "longest", "nul_characters", "skipped_lines", "tokens",
                "tokens_per_document", "training_tokens", "unknown", "used", "vocabulary",
            ])
        let ids = try trainer("tokenize", "@base", file, "--ids")
        let lines = ids.output.split(separator: "\n").map {
            $0.split(separator: " ").compactMap { Int32($0) }
        }
        #expect(json["documents"]?.int == lines.count && json["tokens"]?.int == lines.joined().count)
        let tokenizer = try Tokenizer.open(Self.examples + "/base")
        let texts = try trainer("tokenize", "@base", file, "--text")
        #expect(texts.output.split(separator: "\n").count == lines.count)
        for (line, text) in zip(lines, texts.output.split(separator: "\n")) {
            let spelled = try #require(try JSON(parsing: Array(text.utf8), file: "").string)
            #expect(try tokenizer.encode(spelled) == line)
        }
        let packed = try trainer("tokenize", "@base", file, "-o", "ko.safetensors")
        #expect(packed.code == 0 && packed.output.isEmpty && packed.messages.contains("wrote ko.safetensors"))
        let refused = try trainer("tokenize", "@base", file, "-o", "ko.safetensors")
        #expect(refused.code == 64 && refused.messages.contains("--force to replace it"))
        #expect(try trainer("tokenize", "@base", file, "-o", "ko.safetensors", "--force").code == 0)
        let results = try [file, "ko.safetensors"].map {
            try trainer("eval", "@base", "--data", "ko=\($0)", "--length", "64", "--json").json()
        }
        #expect(results[0] == results[1])
    }

    /// An empty document is a line of its own, a blank line is none.
    @Test func tokenizePrintsALineForEveryDocument() throws {
        try temporary.write("a.jsonl", "{\"text\": \"\"}\n{\"text\": \"ab\"}\n\n{\"text\": \"\"}\n")
        try FileManager.default.copyItem(
            at: URL(filePath: Self.examples + "/base"), to: folder.appending(path: "base"))
        let tokenizer = try Tokenizer.open(Self.examples + "/base")
        let own = try tokenizer.encode("ab").map(String.init).joined(separator: " ")
        #expect(try trainer("tokenize", "base", "a.jsonl", "--ids").output == "\n\(own)\n\n")
        let json = try trainer("tokenize", "base", "a.jsonl", "--json").json()
        #expect(json["documents"] == 3)
        // The start is the tokenizer's own already, the end is not; empty documents are not trained on.
        #expect(json["training_tokens"]?.int == own.split(separator: " ").count + 1)
        let without = try trainer("tokenize", "base", "a.jsonl", "--json", "--no-end-of-text").json()
        #expect(without["training_tokens"]?.int == own.split(separator: " ").count)
        let alone = try trainer("tokenize", "base/tokenizer.json", "a.jsonl", "--json").json()
        #expect(alone["training_tokens"] == nil && alone["documents"] == 3)
    }

    /// As typed, with nothing but a file: one pass, told by source.
    @Test func healWithoutANumberOfStepsIsOnePass() throws {
        let file = Self.examples + "/data/korean.val.jsonl"
        let size = try #require(
            try trainer("tokenize", "@base", file, "--json").json()["training_tokens"]?.int)
        let run = try trainer(
            "heal", "@base", "--data", file, "--replay", "en=@data/english.val.jsonl:2", "--length", "64",
            "-o", "out", "--log", "log.jsonl", "--json")
        #expect(run.code == 0, "\(run.messages)")
        let json = try run.json()
        let korean = try #require(json["sources"]?[file])
        #expect(korean["passes"] == 1 && korean["coverage"] == 1 && korean["tokens"]?.int == size)
        #expect(json["sources"]?["en"]?["tokens"]?.int ?? 0 > 0)
        let last = try #require(
            try String(decoding: temporary.bytes("log.jsonl"), as: UTF8.self).split(separator: "\n").last)
        #expect(try JSON(parsing: Array(last.utf8), file: "")["sources"] == json["sources"])
        let planned = try trainer(
            "heal", "@base", "--data", file, "--tokens", "\(size)", "-o", "other", "--dry-run", "--json")
        #expect(try planned.json()["sources"]?[file]?["coverage"] == 1)
        #expect(planned.messages.contains("\(file): \(Units.grouped(size)) tokens, 1.00 passes, 100.0 % of"))
    }

    @Test func healKilledAndStoppedEndsWithTheSameBytes() throws {
        let straight = try heal(
            "-o", "straight", "--json", "--eval", "en=\(Self.examples)/data/english.val.jsonl")
        #expect(straight.code == 0)
        #expect(
            try straight.json().object?.keys.sorted() == [
                "after", "before", "distilled_rows", "drift", "healed", "loss", "output", "parent", "sources",
                "steps", "taught", "tokens",
            ])
        // SIGKILL as soon as a checkpoint is there, then SIGINT after the next, then to the end.
        #expect(
            try stop(
                ["-o", "stopped", "--checkpoint-every", "1"], by: SIGKILL, after: 2)
                == SIGKILL)
        #expect(!exists("stopped"))
        let interrupted = try stop(
            ["-o", "stopped", "--checkpoint-every", "1", "--resume"], by: SIGINT, after: 5)
        #expect(interrupted == 130)
        #expect(!exists("stopped"))
        let refused = try heal("-o", "stopped")
        #expect(refused.code == 64 && refused.messages.contains("add --resume"))
        let ended = try heal("-o", "stopped", "--resume")
        #expect(ended.code == 0)
        let files = try ["straight", "stopped"].map {
            try Data(contentsOf: folder.appending(path: "\($0)/model.safetensors"))
        }
        #expect(files[0] == files[1])
        #expect(lastStep == 0 && exists("stopped.run/record.jsonl") && !exists("stopped.run/.lock"))
    }

    /// Terminals, schedulers and limits stop a run as Ctrl-C does.
    @Test(arguments: [SIGHUP, SIGUSR1, SIGXCPU])
    func otherSignalsKeepTheRun(_ signal: Int32) throws {
        let code = try stop(["-o", "stopped", "--checkpoint-every", "1"], by: signal, after: 2)
        #expect(code == 128 + signal && lastStep >= 2 && !exists("stopped"))
    }

    @Test func nobodyListeningEndsNothing() throws {
        let process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: "trainer")
        process.arguments = Self.heal + ["-o", "out", "--checkpoint-every", "1"]
        process.currentDirectoryURL = folder
        let messages = Pipe()
        process.standardError = messages
        try process.run()
        try messages.fileHandleForReading.close()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0 && process.terminationReason == .exit && exists("out"))
    }

    @Test func theLogMayBeAStream() throws {
        let run = try heal("-o", "out", "--steps", "2", "--log", "/dev/stdout", "--warmup", "3")
        #expect(run.code == 0)
        let lines = run.output.split(separator: "\n")
        #expect(lines.count == 2)
        let steps = try lines.map { try JSON(parsing: Array($0.utf8), file: "")["step"]?.int }
        #expect(steps == [1, 2] && run.messages.contains("--warmup 3 is longer than the run"))
        // A plain file that standard output leads to keeps what is in it.
        try temporary.write("lines.txt", "before\n")
        let shell = Process()
        shell.executableURL = URL(filePath: "/bin/sh")
        let trainer = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: "trainer").path()
        let words = ([trainer] + Self.heal + ["-o", "two", "--steps", "2", "--log", "/dev/stdout", "--json"])
            .joined(separator: " ")
        shell.arguments = ["-c", words + " >> lines.txt"]
        shell.currentDirectoryURL = folder
        shell.standardError = FileHandle.nullDevice
        try shell.run()
        shell.waitUntilExit()
        let text = String(decoding: try temporary.bytes("lines.txt"), as: UTF8.self)
        #expect(text.hasPrefix("before\n{\"grad_norm\"") && text.hasSuffix("}\n"))
        #expect(text.split(separator: "\n").count > 4)
    }

    @Test func resumingAFinishedRunIsNoError() throws {
        #expect(try heal("-o", "out", "--steps", "2").code == 0)
        let again = try heal("-o", "out", "--steps", "2", "--resume", "--json")
        #expect(again.code == 0 && again.messages.contains("this run is finished, after 2 steps"))
        let (told, first) = (try again.json(), try heal("-o", "other", "--steps", "2", "--json").json())
        #expect(told["steps"] == 2 && told.object?.keys.sorted() == first.object?.keys.sorted())
        #expect(try heal("-o", "out", "--steps", "3", "--resume").code == 64)
    }

    @Test func aModelBehindAListIsToldOf() throws {
        let run = try trainer("heal", "--data", "@data/english.val.jsonl", "@base", "--steps", "1")
        #expect(
            run.code == 64
                && run.messages.contains(
                    "base is a model's folder where files of text or a list are expected")
        )
        let none = try trainer("heal", "--data", "@data/english.val.jsonl", "--steps", "1")
        #expect(none.code == 64 && none.messages.contains("no model is named"))
    }

    /// The tensor is named, and JSON has null where there is no number.
    @Test func aModelThatHoldsNoNumber() throws {
        let base = try temporary.copy(of: Self.examples + "/base", as: "nan")
        var bytes = try temporary.bytes("nan/model.safetensors")
        // All bits of the last number: NaN in every type.
        bytes.replaceSubrange(bytes.count - 2..<bytes.count, with: [0xFF, 0xFF])
        try temporary.write("nan/model.safetensors", bytes)
        let run = try trainer(
            "eval", base, "--data", "en=@data/english.val.jsonl", "--length", "64", "--json")
        #expect(run.code == 2 && run.messages.contains(/tensor '[a-z_.0-9]+' holds NaN at \[/))
        #expect(try run.json()["sets"]?["en"]?["loss"] == .null)
        let healed = try trainer(
            "heal", base, "--replay", "@data/english.val.jsonl", "--steps", "1", "--length", "16", "-o", "out"
        )
        #expect(healed.code == 2 && healed.messages.contains("holds NaN at") && !exists("out"))
    }

    /// Begins a heal, sends a signal once a step is kept, and returns the exit code or the signal that ended it.
    private func stop(_ more: [String], by signal: Int32, after step: Int) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: "trainer")
        process.arguments = Self.heal + more
        process.currentDirectoryURL = folder
        process.standardError = FileHandle.nullDevice
        try process.run()
        while process.isRunning, lastStep < step { usleep(500) }
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// A packed file that was killed is not there; the next run makes the file that one without a kill makes.
    @Test func aKilledTokenizeLeavesNoFile() throws {
        let line = "{\"text\": \"" + String(repeating: "The sheet has cells. ", count: 20) + "\"}\n"
        try Data(String(repeating: line, count: 20_000).utf8).write(to: folder.appending(path: "big.jsonl"))
        let process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: "trainer")
        let model = Self.examples + "/base"
        process.arguments = ["tokenize", model, "big.jsonl", "-o", "big.safetensors"]
        process.currentDirectoryURL = folder
        process.standardError = FileHandle.nullDevice
        try process.run()
        while process.isRunning, !exists("big.safetensors.partial") { usleep(200) }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal)
        #expect(!exists("big.safetensors") && exists("big.safetensors.partial"))
        #expect(try trainer("tokenize", model, "big.jsonl", "-o", "big.safetensors").code == 0)
        #expect(try trainer("tokenize", model, "big.jsonl", "-o", "other.safetensors").code == 0)
        let files = try ["big", "other"].map {
            try Data(contentsOf: folder.appending(path: $0 + ".safetensors"))
        }
        #expect(files[0] == files[1] && !exists("big.safetensors.partial"))
    }

    /// Starts the command itself.
    private func started(_ arguments: [String]) throws -> Process {
        let process = Process()
        process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: "trainer")
        process.arguments = arguments
        process.currentDirectoryURL = folder
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    private func shards(_ arguments: [String]) throws -> CommandRun {
        try CommandRun(arguments, of: "trainer", in: folder)
    }

    /// A folder of shards that was killed again and again is in the end what one without a kill is.
    @Test func shardsAreTheSameAfterKills() throws {
        let line = "{\"text\": \"" + String(repeating: "The sheet has cells. ", count: 20) + "\"}\n"
        try Data(String(repeating: line, count: 10_000).utf8).write(to: folder.appending(path: "big.jsonl"))
        func command(_ output: String) -> [String] {
            [
                "tokenize", Self.examples + "/base", "big.jsonl", "-o", output, "--shard-bytes", "400kB",
                "--seed", "7",
            ]
        }
        let start = ContinuousClock.now
        #expect(try shards(command("whole")).code == 0)
        let usual = ContinuousClock.now - start
        // As a kill leaves it between a shard's name and the end of what it was made of.
        try Data("left".utf8).write(to: folder.appending(path: "whole/tokens-00000-of-00011.unordered"))
        #expect(try shards(command("whole")).code == 0)
        for _ in 0..<3 {
            let process = try started(command("killed"))
            usleep(UInt32(usual / .microseconds(1) * Double.random(in: 0.1...0.5)))
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        #expect(try shards(command("killed")).code == 0)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/whole").sorted()
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path + "/killed").sorted() == names)
        #expect(names.count == 12)
        for name in names {
            let files = try ["whole", "killed"].map {
                try Data(contentsOf: folder.appending(path: "\($0)/\(name)"))
            }
            #expect(files[0] == files[1], "\(name)")
        }
        let json = try shards(command("killed") + ["--json"]).json()
        #expect(json["shards"] == 11 && json["shards_made"] == 0 && json["documents"] == 10_000)
    }

    /// Memory holds some megabytes a thread, whatever the size of the files.
    @Test func shardsTakeMemoryThatDoesNotGrowWithTheFiles() throws {
        let line = "{\"text\": \"" + String(repeating: "The sheet has cells. ", count: 20) + "\"}\n"
        var peaks: [Int] = []
        for count in [4_000, 40_000] {
            try Data(String(repeating: line, count: count).utf8).write(
                to: folder.appending(path: "big.jsonl"))
            let process = try started([
                "tokenize", Self.examples + "/base", "big.jsonl", "-o", "tokens-\(count)", "--shard-bytes",
                "500kB",
            ])
            var peak = 0
            while process.isRunning {
                let status = try? String(
                    contentsOf: URL(filePath: "/proc/\(process.processIdentifier)/status"), encoding: .utf8)
                let line = status?.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
                peak = max(peak, line.flatMap { Int($0.split(separator: " ").dropFirst().first ?? "") } ?? 0)
                usleep(2_000)
            }
            #expect(process.terminationStatus == 0)
            peaks.append(peak)
        }
        #expect(peaks[0] > 0 && peaks[1] < peaks[0] + 10_000, "\(peaks) kB")
    }

    @Test func dryRunWritesNothing() throws {
        let run = try heal("-o", "out", "--dry-run", "--json")
        #expect(run.code == 0 && !exists("out") && !exists("out.run"))
        let json = try run.json()
        #expect(json["parameters"] == 1_738_880 && json["steps"] == 24)
        #expect(try #require(json["memory_bytes"]?.int) > 16 * 1_738_880)
    }

    /// Every parameter with what decided it, and what the run takes; nothing is written.
    @Test func explainsAJob() throws {
        let run = try heal(
            "-o", "out", "--explain", "--json", "--stages", "name: rows, steps: 3, freeze: [model.layers.*]",
            "steps: 5")
        #expect(run.code == 0 && !exists("out") && !exists("out.run"), "\(run.messages)")
        let json = try run.json()
        let rows = try #require(json["job"]?.array)
        func row(_ name: String, _ stage: String?) -> JSON? {
            rows.first { $0["name"]?.string == name && $0["stage"]?.string == stage }
        }
        #expect(row("lr", nil)?["origin"] == "given" && row("lr", nil)?["value"] == 0.001)
        #expect(row("embedding-lr", nil)?["origin"] == "rule")
        #expect(row("steps", "rows")?["value"] == 3 && row("steps", "stage 2")?["origin"] == "stage")
        #expect(json["steps"] == 8 && json["memory_stage"] == "stage 2")
        let parts = try #require(json["memory"]?.object)
        #expect(
            parts.keys == ["weights", "gradients", "moments", "activations", "data", "program"]
                && parts.reduce(0) { $0 + ($1.value.int ?? 0) } == json["memory_bytes"]?.int)
        let stages = try #require(json["stages"]?.array)
        #expect(stages.map { $0["steps"]?.int } == [3, 5])
        let seconds = stages.compactMap { $0["expected_seconds"]?.double }
        #expect(
            seconds.count == 2
                && abs(seconds[0] + seconds[1] - (json["expected_seconds"]?.double ?? 0)) < 1e-9)
        let shown = run.messages.replacing(/\ +/, with: " ")
        #expect(shown.contains("\nlr 0.001 given\n"), "\(run.messages)")
        #expect(shown.contains("\nembedding-lr 0.0002 rule a fifth of lr\n"), "\(run.messages)")
        #expect(shown.contains("\nstage rows\n") && shown.contains(" in the stage 'stage 2'"))
        #expect(shown.contains("\ntime about "))
    }

    /// A checkpoint becomes a model where its run's result lies, and nothing is half there.
    @Test func exportsACheckpoint() throws {
        #expect(try heal("-o", "out", "--keep", "1").code == 0)
        let step = "out.run/step-000024"
        let plan = try trainer("export", step, "--dry-run", "--json")
        #expect(plan.code == 0 && !exists("out-step-24"), "\(plan.messages)")
        let run = try trainer("export", step, "--json")
        #expect(run.code == 0 && run.messages.contains("wrote "), "\(run.messages)")
        let json = try run.json()
        #expect(
            json.object?.keys == [
                "checkpoint", "run", "step", "stage", "model", "output", "parameters", "trained_parameters",
                "bytes", "average", "dry_run",
            ])
        #expect(json["step"] == 24 && json["trained_parameters"] == 1_738_880)
        #expect(json["dry_run"] == false && json["output"]?.string?.hasSuffix("/out-step-24") == true)
        #expect(
            try temporary.bytes("out-step-24/model.safetensors") == temporary.bytes("out/model.safetensors"))
        let again = try trainer("export", step)
        #expect(again.code != 0 && again.messages.contains("--force"), "\(again.messages)")
        #expect(try trainer("export", step, "--force").code == 0)
        let none = try trainer("export", "out", "-o", "none")
        #expect(none.code == 64 && none.messages.contains("is no checkpoint of a run") && !exists("none"))
        let average = try trainer("export", step, "--average", "-o", "none")
        #expect(average.code == 64 && average.messages.contains("--result average") && !exists("none"))
    }

    /// A page of a healed model, of its run, and of its log; none replaces a file unasked.
    @Test func reportsWhatARunDid() throws {
        let sets = ["--eval", "en=\(Self.examples)/data/english.val.jsonl", "--log", "log.jsonl"]
        let healed = try CommandRun(
            Self.heal + sets + ["-o", "out", "--tensorboard", "events"], of: "trainer", in: folder)
        #expect(healed.code == 0, "\(healed.messages)")
        #expect(exists("events") && !exists("out.run/tensorboard"))
        let evaluated = try trainer("eval", "@base", "--data", "en=@data/english.val.jsonl", "--json")
        try temporary.write("base.json", evaluated.output)
        let run = try trainer("report", "out", "--parent", "base.json", "--json")
        #expect(run.code == 0 && run.messages == "wrote \(folder.path())out-report.html\n", "\(run.messages)")
        let json = try run.json()
        #expect(json["runs"]?[0]?["steps"] == 24 && json["runs"]?.array?.count == 1)
        let page = try String(contentsOfFile: temporary.path("out-report.html"), encoding: .utf8)
        #expect(
            page.contains("<bdi>out</bdi>") && page.contains("<th scope=\"col\" class=\"number\">parent</th>")
        )
        let again = try trainer("report", "out")
        #expect(again.code == 64 && again.messages.contains("--force"))
        #expect(try trainer("report", "out.run", "log.jsonl", "-o", "both.html").code == 0)
        let record = try temporary.bytes("out.run/record.jsonl")
        let over = try trainer("report", "out", "-o", "out.run/record.jsonl", "--force")
        #expect(over.code != 0 && over.messages.contains("record.jsonl"), "\(over.messages)")
        #expect(try temporary.bytes("out.run/record.jsonl") == record)
        let none = try trainer("report", "events")
        #expect(none.code == 2 && none.messages.contains("there is no record of a run"))
        #expect(
            try trainer("report", "out", "--parent", "log.jsonl", "-o", "a.html").code == 2
                && !exists("a.html"))
    }

    @Test func warnsOfForgetting() throws {
        let run = try trainer(
            "heal", "@base", "--data", "@data/korean.val.jsonl", "--steps", "1", "--length", "16", "-o",
            "out", "--dry-run")
        #expect(run.messages.contains("warning: no source is marked as the model's original domain"))
    }

    /// What is marked as synthetic is told of a run from its plan to its page, and held to a cap.
    @Test func countsSyntheticText() throws {
        try temporary.write(
            "own.jsonl",
            (0..<40).map { "{\"text\": \"The sheet \($0) has many cells.\", \"synthetic\": \"replay\"}\n" }
                .joined())
        let arguments = [
            "heal", "@base", "--data", "own.jsonl:1", "en=@data/english.val.jsonl:3", "--steps", "4",
            "--length",
            "16", "-o", "out",
        ]
        func heal(_ more: String...) throws -> CommandRun {
            try CommandRun(
                (arguments + more).map { $0.replacing("@", with: "\(Self.examples)/") }, of: "trainer",
                in: folder)
        }
        let refused = try heal("--synthetic-cap", "0.1")
        #expect(refused.code == 64 && !exists("out"), "\(refused.messages)")
        #expect(
            refused.messages.contains(
                "the run would show 25.00 % of synthetic text (own.jsonl 128 of 128 tokens), and synthetic-cap allows 10.00 %"
            ), "\(refused.messages)")
        #expect(try heal("--synthetic-cap", "2").messages.contains("from 0 to 1"))
        let run = try heal("--synthetic-cap", "0.25", "--json")
        #expect(run.code == 0, "\(run.messages)")
        #expect(!run.messages.contains("marked as synthetic"))
        let sources = try run.json()["sources"]
        #expect(sources?["own.jsonl"]?["synthetic"]?.int == 128 && sources?["en"]?["synthetic"] == nil)
        let manifest = try JSON.read(path: temporary.path("out/surgery.json"))
        let operation = manifest["operations"]?.array?.last
        #expect(operation?["parameters"]?["synthetic_tokens"] == ["own.jsonl": 128], "\(manifest.text)")
        #expect(try trainer("report", "out").code == 0)
        let page = try String(contentsOfFile: temporary.path("out-report.html"), encoding: .utf8)
        #expect(page.contains("class=\"number\">synthetic</th>"))
        let much = try trainer(
            "heal", "@base", "--data", "own.jsonl", "--steps", "2", "--length", "16", "-o", "much",
            "--dry-run")
        #expect(
            much.messages.contains("100.0 % of what the run shows is marked as synthetic"), "\(much.messages)"
        )
    }

    @Test(arguments: [
        (["heal", "@base", "--data", "none.jsonl", "--steps", "1"], 2, "none.jsonl"),
        (
            ["heal", "@base", "--data", "@data/english.val.jsonl", "--steps", "1", "--epochs", "1"], 64,
            "one of --steps, --tokens and --epochs"
        ),
        (
            ["heal", "@base", "--data", "@data/english.val.jsonl", "@data/english.val.jsonl"], 64,
            "two sources are called"
        ),
        (
            ["heal", "@base", "--data", "@data/english.val.jsonl", "--packing", "bilingual"], 64,
            "--packing bilingual puts texts of two sources into a sequence"
        ),
        (
            ["heal", "@base", "--data", "@data/english.val.jsonl", "--end-of-text", "<none>", "--dry-run"],
            64,
            "no token '<none>'"
        ),
        (
            ["heal", "@base", "--data", "@data/english.val.jsonl", "--steps", "1", "-o", "no/out"], 64,
            "no/out"
        ),
        (
            ["heal", "@base", "--data", "@data/english.val.jsonl", "--steps", "1", "--log", "no/log"], 64,
            "no/log"
        ),
        (
            ["heal", "@base", "--data", "@data/english.val.jsonl", "--steps", "1", "--length", "4096"], 2,
            "at most 512"
        ),
        (
            [
                "heal", "@base", "--data", "@data/english.val.jsonl", "--steps", "1", "--tensorboard",
                "no/events",
            ], 64, "no/events"
        ),
        (["report", "nowhere"], 2, "no record of a run"),
        (["report"] + Array(repeating: "a", count: 5), 64, "room for 4 runs"),
        (["eval", "nowhere", "--data", "a=@data/english.val.jsonl"], 2, "nowhere does not exist"),
        (["eval", "@base", "--ids", "@base/model.safetensors"], 2, "input_ids"),
        (["eval", "@base"], 64, "--data, --choices or --completions"),
        (["bench"], 64, "MODEL or --shape"),
        (["tokenize", "@base"], 64, "at least one file of text"),
        (
            ["tokenize", "@base", "@data/english.val.jsonl", "--ids", "-o", "a.safetensors"], 64,
            "give one of"
        ),
        (
            ["tokenize", "@base", "@data/english.val.jsonl", "-o", "a.safetensors", "--seed", "1"], 64,
            "go with -o FOLDER"
        ),
        (
            ["tokenize", "@base", "@data/english.val.jsonl", "-o", "a", "--shard", "0/2", "--force"], 64,
            "what other machines have made"
        ),
        (["tokenize", "@base", "@data/english.val.jsonl", "-o", "a", "--shard", "2/2"], 64, "--shard"),
        (["tokenize", "@base", "@base/config.json"], 2, "one {\"text\": …} a line"),
        (["tokenize", "@data/english.val.jsonl"], 2, "tokenizer.json"),
        (["tokenize", "@base", "@data/english.val.jsonl", "-o", "no/a.safetensors"], 1, "no/a.safetensors"),
        (["eval", "@base", "--data", "a=@base/model.safetensors"], 2, "trainer tokenize -o"),
    ])
    func endsWithOneSentence(_ arguments: [String], _ code: Int, _ words: String) throws {
        let before = try FileManager.default.contentsOfDirectory(atPath: folder.path())
        let arguments =
            arguments + (arguments[0] == "heal" && !arguments.contains("-o") ? ["-o", "out"] : [])
        let run = try CommandRun(
            arguments.map { $0.replacing("@", with: Self.examples + "/") }, of: "trainer", in: folder)
        #expect(run.code == code, "\(run.messages)")
        #expect(run.messages.contains(words), "\(run.messages)")
        #expect(run.output.isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path()) == before)
    }

    /// A healed model goes on with its base's history, so a history that can't be read is refused.
    @Test func healRefusesAManifestOfFormat1() throws {
        try FileManager.default.copyItem(
            at: URL(filePath: Self.examples + "/base"), to: folder.appending(path: "base"))
        try temporary.write("base/surgery.json", #"{"format": 1, "tool": "surgery 0.1.0"}"#)
        let heal = ["heal", "base"] + Self.heal.dropFirst(2) + ["-o", "out"]
        let run = try CommandRun(heal, of: "trainer", in: folder)
        #expect(run.code == 2 && run.output.isEmpty && !exists("out") && !exists("out.run"))
        #expect(
            run.messages.hasPrefix("error: base/surgery.json has format 1, ")
                && run.messages.contains("make the result again from its source, or remove"),
            "\(run.messages)")
        try FileManager.default.removeItem(at: folder.appending(path: "base/surgery.json"))
        #expect(try CommandRun(heal + ["--dry-run"], of: "trainer", in: folder).code == 0)
    }
}
