import Formats
import Foundation
import Recipes
import TestSupport
import Testing
import Trainer

/// Recipes that choose their texts, on the project's own small base model.
@Suite("Recipes that select")
struct SelectingRecipeTests {
    private static let package = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    private static func example(_ name: String) -> String { package.appending(path: "Examples/\(name)").path }
    private static func shipped(_ name: String) -> String { package.appending(path: "recipes/\(name)").path }

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func run(_ arguments: String..., set: [String] = []) throws -> CommandRun {
        try CommandRun(["run"] + arguments + set.flatMap { ["--set", $0] }, in: folder.url)
    }

    private func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }

    private func report(_ file: String) throws -> JSON {
        try JSON.read(path: folder.path(file + ".report.json"))
    }

    /// The texts that a file of chosen documents has.
    private func texts(_ file: String) throws -> [String] {
        try folder.bytes(file).split(separator: UInt8(ascii: "\n")).map {
            try #require(try JSON(parsing: Array($0), file: file)["text"]?.string)
        }
    }

    private func hasHangul(_ text: String) -> Bool {
        text.unicodeScalars.contains { (0xAC00...0xD7A3).contains($0.value) }
    }

    /// What the record of a run says of the source `name`.
    private func source(_ name: String, of record: String) throws -> JSON? {
        let first = try folder.bytes(record).prefix { $0 != UInt8(ascii: "\n") }
        let sources = try JSON(parsing: Array(first), file: record)["sources"]?.array
        return sources?.first { $0["name"]?.string == name }
    }

    // MARK: What ships

    private static let finPythia = [
        "model=\(example("base"))", "select.to=\(example("data/english.val.jsonl"))",
        "select.data=[\"\(example("data/korean.val.jsonl"))\", \"\(example("data/english.val.jsonl"))\"]",
        "heal.tokens=600", "heal.batch=2", "heal.accumulate=2", "heal.length=32",
    ]

    /// A tenth by the model's own embeddings, what is healed with it says so, and again everything is there.
    @Test func finPythia() throws {
        let file = Self.shipped("finpythia.yaml")
        let first = try run(file, "-o", "out", "--json", set: Self.finPythia)
        #expect(first.code == 0, "\(first.messages)")
        #expect(
            try names() == [
                "out", "out.run", "out.select.jsonl", "out.select.jsonl.ledger",
                "out.select.jsonl.report.json",
            ])
        let report = try report("out.select.jsonl")
        let choice = try #require(report["choice"])
        let candidates = try #require(choice["candidates"]?.int)
        #expect(choice["chosen"]?.int == (candidates + 9) / 10 && candidates > 15)
        // The task is English, and so is what is most like it.
        let chosen = try texts("out.select.jsonl")
        #expect(chosen.count == choice["chosen"]?.int)
        #expect(!chosen.contains(where: hasHangul))
        let select = try #require(try first.json()["steps"]?[0])
        #expect(
            select["operation"] == "select"
                && select["output"]?.string?.hasSuffix("/out.select.jsonl") == true)
        #expect(select["kept"]?.int == chosen.count && select["options"]?["share"]?.double == 0.1)
        // What is healed with is named, in the manifest and in the record.
        let digest = try FileDigest.sha256(InputFile(path: folder.path("out.select.jsonl")))
        #expect(report["sha256"]?.string == digest)
        let heal = try #require(Manifest.read(path: folder.path("out/surgery.json")).operations.last)
        let selected = try #require(heal.parameters["selected"]?[0])
        #expect(selected["file"] == "out.select.jsonl" && selected["sha256"]?.string == digest)
        #expect(selected["ledger_sha256"] == report["ledger_sha256"] && selected["kept"]?.int == chosen.count)
        #expect(try source("select", of: "out.run/record.jsonl")?["selected"] == selected)
        let model = try folder.bytes("out/model.safetensors")
        let again = try run(file, "-o", "out", set: Self.finPythia)
        #expect(again.code == 0, "\(again.messages)")
        #expect(again.messages.matches(of: /is there already/).count == 2, "\(again.messages)")
        #expect(try folder.bytes("out/model.safetensors") == model)
        // What was chosen otherwise is not taken for it, and stays.
        let other = try run(file, "-o", "out", set: Self.finPythia + ["select.share=0.2"])
        #expect(
            other.code == 2 && other.messages.contains("settings.choice.share is 0.2, was 0.1"),
            "\(other.messages)")
        // Nor what was written over.
        let bytes = try folder.bytes("out.select.jsonl")
        try folder.write("out.select.jsonl", bytes.dropLast(bytes.count / 2))
        let changed = try run(file, "-o", "out", set: Self.finPythia)
        #expect(
            changed.code == 2 && changed.messages.contains("no longer what was chosen"), "\(changed.messages)"
        )
    }

    /// The other way of the paper: by what is new to a model at a path, and varied, without a task.
    @Test func finPythiaWithoutATask() throws {
        let set =
            Self.finPythia.filter { !$0.hasPrefix("select.to") } + [
                "select.by=[perplexity, entropy]", "select.to=null", "select.model=\(Self.example("base"))",
            ]
        let chosen = try run(Self.shipped("finpythia.yaml"), "-o", "out", "--only", "select", set: set)
        #expect(chosen.code == 0, "\(chosen.messages)")
        let command = try CommandRun(
            [
                "select", Self.example("data/korean.val.jsonl"), Self.example("data/english.val.jsonl"),
                "-o", "typed.jsonl", "--by", "perplexity", "--by", "entropy", "--model", Self.example("base"),
                "--share", "0.1",
            ], of: "trainer", in: folder.url)
        #expect(command.code == 0, "\(command.messages)")
        #expect(try folder.bytes("out.select.jsonl") == folder.bytes("typed.jsonl"))
        #expect(try !names().contains("out"))
    }

    /// From random weights, by the shares of the paper, a part of them chosen by words alone.
    @Test func bloombergGPT() throws {
        let recipe = try String(contentsOfFile: Self.shipped("bloomberggpt.yaml"), encoding: .utf8)
        try folder.write("recipe.yaml", recipe)
        let (english, korean) = (
            Self.example("data/english.train.jsonl"), Self.example("data/korean.val.jsonl")
        )
        let crawl = try [english, korean].map { try String(contentsOfFile: $0, encoding: .utf8) }.joined()
        try folder.write("crawl.jsonl", crawl)
        for name in ["finance", "news", "filings", "press", "own", "pile", "c4", "wikipedia"] {
            let val = Self.example("data/english.val.jsonl")
            try folder.write("\(name).jsonl", String(contentsOfFile: val, encoding: .utf8))
        }
        let made = try run(
            "recipe.yaml", "-o", "out", "--json",
            set: [
                "model=\(Self.example("blank"))", "heal.tokens=2048", "heal.batch=2", "heal.accumulate=2",
                "heal.length=32", "heal.warmup=1",
            ])
        #expect(made.code == 0, "\(made.messages)")
        #expect(try !texts("out.web.jsonl").contains(where: hasHangul))
        let steps = try #require(try made.json()["steps"]?.array)
        #expect(steps[0]["name"] == "web" && (steps[0]["kept"]?.int ?? 0) > 1)
        let sources = try #require(steps[1]["sources"]?.object)
        #expect(sources.count == 8)
        for (name, share) in [("web", 0.4201), ("news.jsonl", 0.0531), ("pile.jsonl", 0.2590)] {
            let shown = try #require(sources[name]?["tokens"]?.int)
            #expect(abs(Double(shown) / 2_048 - share) < 0.02, "\(name)")
        }
        let heal = try #require(Manifest.read(path: folder.path("out/surgery.json")).operations.last)
        #expect(heal.name == "heal" && heal.parameters["selected"]?[0]?["file"] == "out.web.jsonl")
    }

    // MARK: The model of a step

    private static let deep = """
        model: \(example("base"))
        output: out
        steps:
          - dus: {to: 10}
          - name: own
            select: {data: "\(example("data/english.val.jsonl"))", rules: none, by: perplexity, share: 0.5}
          - name: other
            select: {data: [step:own], rules: none, by: bits-per-byte, share: 0.5, model: "\(example("base"))"}
            output: chosen.jsonl
          - heal: {data: [step:own, "other=step:other:2"], steps: 2, batch: 2, length: 32}
        """

    /// What a step makes is measured by without being written, as the commands have it one after the other.
    @Test func theModelIsThatOfTheStep() throws {
        try folder.write("recipe.yaml", Self.deep)
        let made = try run("recipe.yaml")
        #expect(made.code == 0, "\(made.messages)")
        let dus = try CommandRun(
            ["dus", Self.example("base"), "--to", "10", "-o", "deep"], in: folder.url)
        #expect(dus.code == 0, "\(dus.messages)")
        func select(_ data: String, _ measure: String, _ model: String, _ output: String) throws -> [UInt8] {
            let run = try CommandRun(
                [
                    "select", data, "-o", output, "--rules", "none", "--by", measure, "--share", "0.5",
                    "--model", model,
                ], of: "trainer", in: folder.url)
            #expect(run.code == 0, "\(run.messages)")
            return try folder.bytes(output)
        }
        let val = Self.example("data/english.val.jsonl")
        #expect(try folder.bytes("out.own.jsonl") == select(val, "perplexity", "deep", "a.jsonl"))
        #expect(
            try folder.bytes("chosen.jsonl")
                == select("out.own.jsonl", "bits-per-byte", Self.example("base"), "b.jsonl"))
        // Perplexities are those of the deep model, and not of the base.
        _ = try select(val, "perplexity", Self.example("base"), "c.jsonl")
        func fates(_ output: String) throws -> String {
            let explained = try CommandRun(
                ["select", "-o", output, "--explain", "all"], of: "trainer", in: folder.url)
            #expect(explained.code == 0 && explained.output.contains("perplexity"), "\(explained.messages)")
            return explained.output
        }
        #expect(try fates("out.own.jsonl") == fates("a.jsonl"))
        #expect(try fates("out.own.jsonl") != fates("c.jsonl"))
        let heal = try #require(Manifest.read(path: folder.path("out/surgery.json")).operations.last)
        #expect(
            heal.parameters["selected"]?.array?.compactMap { $0["file"]?.string } == [
                "out.own.jsonl", "chosen.jsonl",
            ])
        #expect(try source("other", of: "out.run/record.jsonl")?["weight"]?.double == 2)
    }

    /// Stopped in the healing, it goes on there; what was chosen is not chosen again.
    @Test func aStoppedRunChoosesOnce() throws {
        let text = Self.deep.replacing("dus: {to: 10}", with: "convert: {dtype: f32}")
        let file = try folder.write(
            "recipe.yaml", text.replacing("output: out", with: "output: \(folder.path("out"))"))
        let recipe = try Recipe.read(path: file)
        func told(stops: Bool) throws -> [String] {
            let isStopped = Guarded(false)
            var log: [String] = []
            var options = RecipeRun.Options()
            (options.threads, options.write.tool) = (2, "test")
            let run = RecipeRun(
                try recipe.carriedOut(), on: try #require(recipe.model), to: recipe.result, options: options,
                isCancelled: { isStopped.withLock { $0 } }
            ) { event in
                switch event {
                case .selected(let step, _, _): log.append("chose \(step.name)")
                case .isThere: log.append("there")
                case .healing(.step): if stops { isStopped.withLock { $0 = true } }
                case .healed: log.append("healed")
                default: break
                }
            }
            do { try run() } catch let error as UserFacingError {
                guard stops, error.kind == .interrupted else { throw error }
                log.append("stopped")
            }
            return log
        }
        #expect(try told(stops: true) == ["chose own", "chose other", "stopped"])
        #expect(try told(stops: false) == ["there", "there", "healed"])
        #expect(try told(stops: false) == ["there", "there", "there"])
    }

    @Test func stepsByThemselves() throws {
        try folder.write(
            "recipe.yaml", Self.deep.replacing("- dus: {to: 10}", with: "- {dus: {to: 10}, output: deep}"))
        #expect(try run("recipe.yaml", "--from-step", "heal").code == 2)
        for step in ["own", "other"] {
            // Each asks the model that was written, or its own.
            if step == "own" { #expect(try run("recipe.yaml", "--only", "dus").code == 0) }
            let chosen = try run("recipe.yaml", "--only", step)
            #expect(chosen.code == 0, "\(chosen.messages)")
        }
        let healed = try run("recipe.yaml", "--from-step", "heal")
        #expect(healed.code == 0, "\(healed.messages)")
        #expect(try Manifest.read(path: folder.path("out/surgery.json")).history.map(\.name).last == "dus")
    }

    @Test func aDryRunChoosesNothing() throws {
        try folder.write(
            "recipe.yaml",
            """
            model: \(Self.example("base"))
            steps:
              - select: {data: [corpus.jsonl, "more/*.jsonl"], by: similarity, to: task.jsonl, share: 0.1}
              - heal: {data: [step:select], steps: 2}
            """)
        let dry = try run("recipe.yaml", "--dry-run", "--json")
        #expect(dry.code == 0, "\(dry.messages)")
        #expect(
            dry.messages.contains("corpus.jsonl is not there yet")
                && dry.messages.contains("task.jsonl is not"))
        let steps = try #require(try dry.json()["steps"]?.array)
        let place = folder.path("recipe.select.jsonl")
        #expect(steps[0]["output"]?.string.map { Path.name($0) } == Path.name(place))
        #expect(steps[1]["missing"]?[0]?.string.map { Path.name($0) } == Path.name(place))
        #expect(try names() == ["recipe.yaml"])
        #expect(try run("recipe.yaml").code == 2)
    }

    // MARK: What is wrong

    @Test(arguments: [
        ("select: {}", "line 3: nothing to select from; give data or triples"),
        (
            "select: {data: [x], shre: 1}",
            "line 3: there is no parameter of select 'shre'; did you mean share?"
        ),
        (
            "select: {data: [x], by: similarty, share: 0.1}",
            "by is \"similarty\", and must be one or several of"
        ),
        ("select: {data: [x], by: similarity, share: 0.1}", "line 3: by similarity compares with a task"),
        (
            "select: {data: [x], by: perplexity}",
            "line 3: by says which documents come first, and nothing how many"
        ),
        ("select: {data: [x], by: entropy, budget: 5Btokens}", "line 3: budget is bytes or tokens of text"),
        ("select:\n      data: [x]\n      rules: [best]", "line 5: rules is [\"best\"], and must be"),
        ("select: {data: [x], rule: [gopher_shrt_doc=2]}", "did you mean gopher_short_doc?"),
        ("select: {data: [x], script: [elvish=1]}", "the scripts are"),
        ("select: {data: [x], model: m}", "line 3: model goes with by similarity"),
        ("{select: {data: [x]}, output: chosen}", "line 3: what is chosen is JSON lines, and is not called"),
        (
            "heal:\n      data: [\"step:select:0.5\"]",
            "line 4: step:select stands for what a select step before this one chooses, and there is none"
        ),
        (
            "select: {data: [x]}\n  - heal:\n      steps: 2\n      data: [\"step:slect\"]",
            "line 6: step:slect stands for what a select step before this one chooses, and those are called select"
        ),
        ("select: {data: [\"step:select\"]}", "line 3: step:select stands for"),
    ])
    func aStepThatIsWrong(step: String, message: String) throws {
        try folder.write("recipe.yaml", "model: x\nsteps:\n  - \(step)\n")
        let wrong = try run("recipe.yaml")
        #expect(wrong.code != 0 && wrong.messages.contains(message), "\(wrong.messages)")
        #expect(try names() == ["recipe.yaml"])
    }

    /// Every option of `trainer select` that decides what is chosen is a parameter of a step, and the other way round.
    @Test func optionsAndParametersAreTheSame() throws {
        let help = try CommandRun(["select", "--help"], of: "trainer", in: folder.url)
        let text = help.output + help.messages
        let options = Set(text.matches(of: /(?m)^  (?:-\w, )?--([a-z0-9-]+)/).map { String($0.1) })
        let notOfTheJob: Set = ["output", "explain", "force", "json", "threads", "version", "help"]
        #expect(
            options.subtracting(notOfTheJob).union(["data"]) == Set(SelectionJob.parameterList.map(\.name)))
        #expect(Set(SelectionJob.defaults.keys).isSubset(of: Set(SelectionJob.parameterList.map(\.name))))
    }
}
