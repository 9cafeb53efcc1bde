import Formats
import Foundation
import Recipes
import Surgery
import Testing
import Trainer

/// Recipes that train, on the project's own small base model.
@Suite("Recipes that heal")
struct HealingRecipeTests {
    private static let package = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    private static func example(_ name: String) -> String {
        package.appending(path: "Examples/\(name)").path
    }

    /// A folder that goes away with the test.
    private final class Folder {
        let url = FileManager.default.temporaryDirectory.appending(path: "recipes-\(UUID())")
        init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(at: url) }
        func path(_ name: String) -> String { url.appending(path: name).path }
        func write(_ text: String, to name: String) throws {
            try Data(text.utf8).write(to: url.appending(path: name))
        }
        func bytes(_ name: String) throws -> Data { try Data(contentsOf: url.appending(path: name)) }
        func names() throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: url.path).sorted()
        }
    }

    private static func recipe(output: String, steps: Int = 4, more: String = "") -> String {
        """
        model: \(example("base"))
        output: \(output)
        steps:
          - dus: {to: 10}
          - heal:
              data: [{name: ko, file: "\(example("data/korean.val.jsonl"))", weight: 3}]
              replay: ["en=\(example("data/english.val.jsonl")):1"]
              eval: ["ko=\(example("data/korean.val.jsonl"))"]
              steps: \(steps)
              batch: 2
              length: 32
              lr: 1e-3
              checkpoint-every: 2
        \(more)
        """
    }

    /// The model in between is never written, and the result is that of the two commands.
    @Test func aRecipeIsWhatTheCommandsAre() throws {
        let folder = try Folder()
        try folder.write(
            Self.recipe(
                output: "whole", more: "  - eval: {data: [\"en=\(Self.example("data/english.val.jsonl"))\"]}"),
            to: "recipe.yaml")
        let run = try CommandRun(["run", "recipe.yaml", "--json"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(try folder.names() == ["recipe.yaml", "whole", "whole.run"])
        let steps = try #require(try run.json()["steps"]?.array)
        #expect(steps.map { $0["operation"] } == ["dus", "heal", "eval"])
        #expect(steps[1]["after"]?["ko"]?["bits_per_byte"]?.double != nil)
        let english = try #require(steps[2]["sets"]?["en"]?["loss"]?.double)
        #expect(english > 0 && english < 10)
        let deep = try CommandRun(["dus", Self.example("base"), "--to", "10", "-o", "deep"], in: folder.url)
        #expect(deep.code == 0, "\(deep.messages)")
        let healed = try CommandRun(
            [
                "heal", "deep", "--data", "ko=\(Self.example("data/korean.val.jsonl")):3", "--replay",
                "en=\(Self.example("data/english.val.jsonl")):1", "--steps", "4", "--batch", "2", "--length",
                "32", "--lr", "1e-3", "-o", "healed",
            ], of: "trainer", in: folder.url)
        #expect(healed.code == 0, "\(healed.messages)")
        #expect(try folder.bytes("whole/model.safetensors") == folder.bytes("healed/model.safetensors"))
        #expect(try folder.bytes("whole/config.json") == folder.bytes("healed/config.json"))
        let manifest = try Manifest.read(path: folder.path("whole/surgery.json"))
        #expect(manifest.operations.map(\.name) == ["dus", "heal"])
        // Again, everything is there.
        let again = try CommandRun(["run", "recipe.yaml"], in: folder.url)
        #expect(again.code == 0 && again.messages.contains("is there already"), "\(again.messages)")
    }

    private func run(
        _ file: String, stopAfter limit: Int = .max, force: Bool = false
    ) throws -> [String] {
        let recipe = try Recipe.read(path: file)
        var options = RecipeRun.Options()
        options.threads = 2
        options.write = WriteOptions(force: force, tool: "test")
        let count = Guarded(0)
        var told: [String] = []
        let run = RecipeRun(
            try recipe.carriedOut(), on: try #require(recipe.model), to: try #require(recipe.output),
            options: options,
            isCancelled: { count.withLock { $0 } >= limit }
        ) { event in
            switch event {
            case .healing(.step): count.withLock { $0 += 1 }
            case .isThere: told.append("there")
            case .wrote: told.append("wrote")
            case .healed(_, let outcome, _): told.append("healed after \(outcome.step)")
            default: break
            }
        }
        try run()
        return told
    }

    private static let two = """
          - name: half
            convert: {dtype: f16}
          - name: again
            heal: {data: ["\(example("data/english.val.jsonl"))"], steps: 3, batch: 2, length: 32}
          - name: last
            convert: {dtype: f32}
        """

    /// Healed models in between lie beside the output until the run is done; stopped anywhere, it ends the same.
    @Test func aStoppedRunGoesOnWhereItStood() throws {
        let folder = try Folder()
        try folder.write(Self.recipe(output: "straight", more: Self.two), to: "straight.yaml")
        try folder.write(Self.recipe(output: "stopped", more: Self.two), to: "stopped.yaml")
        #expect(
            try run(folder.path("straight.yaml")) == ["healed after 4", "healed after 3", "wrote"])
        for limit in [3, 4] {
            let error = #expect(throws: UserFacingError.self) {
                try run(folder.path("stopped.yaml"), stopAfter: limit)
            }
            #expect(
                error?.kind == .interrupted && error?.message.contains("the same command goes on") == true)
        }
        #expect(try folder.names().contains("stopped.steps") && !folder.names().contains("stopped"))
        // With other settings what is there is of no use.
        let other = try folder.bytes("stopped.yaml")
        try folder.write(Self.recipe(output: "stopped", steps: 5, more: Self.two), to: "stopped.yaml")
        let changed = #expect(throws: UserFacingError.self) { try run(folder.path("stopped.yaml")) }
        #expect(changed?.message.contains("which step 'heal' has made, is of other settings") == true)
        try other.write(to: folder.url.appending(path: "stopped.yaml"))
        #expect(
            try run(folder.path("stopped.yaml")).suffix(3) == ["there", "healed after 3", "wrote"])
        #expect(
            try folder.bytes("stopped/model.safetensors") == folder.bytes("straight/model.safetensors"))
        #expect(try !folder.names().contains { $0.hasSuffix(".steps") })
        // What is left of the models in between is what reports are made of.
        #expect(try RunHistory.find(folder.path("stopped.run/steps/again")).steps.map(\.step) == [1, 2, 3])
        let several = #expect(throws: UserFacingError.self) { try RunHistory.find(folder.path("stopped")) }
        #expect(several?.message.contains("stopped.run/steps/again/record.jsonl") == true)
        // What is there would be lost: hours of training do not begin.
        let error = #expect(throws: UserFacingError.self) { try run(folder.path("stopped.yaml")) }
        #expect(error?.message.contains("the model of 'heal' in between was removed") == true)
    }

    @Test func aDryRunNeedsNeitherDataNorWeights() throws {
        let folder = try Folder()
        let configuration = Self.package.appending(path: "recipes/configurations/mistral-7b-v0.1").path
        let file = Self.package.appending(path: "recipes/korean-vocabulary.yaml").path
        let run = try CommandRun(
            ["run", file, "--set", "model=\(configuration)", "--dry-run", "--json"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(run.messages.contains("korean.jsonl is not there yet"))
        let steps = try #require(try run.json()["steps"]?.array)
        let rows = 32_000 + 16_000
        #expect(steps[0]["parameters"]?.int == 10_731_524_096)
        #expect(steps[1]["parameters"]?.int == 10_731_524_096 + 2 * 4_096 * (rows - 32_000))
        #expect(steps[2]["parameters"]?.int == steps[1]["parameters"]?.int)
        #expect(steps[2]["steps"]?.int == (2_000_000_000 / 2_048 + 63) / 64)
        #expect(steps[2]["missing"]?.array?.count == 3)
        let bytes = try #require(steps[2]["memory_bytes"]?.int)
        #expect(bytes > 8 * 10_731_524_096)
        #expect(try #require(steps[2]["expected_seconds"]?.double) > 1e6)
        #expect(try folder.names().isEmpty)
    }

    /// The shipped file itself, with nothing but model, data and lengths set.
    @Test func koreanVocabulary() throws {
        let folder = try Folder()
        let file = Self.package.appending(path: "recipes/korean-vocabulary.yaml").path
        let korean = Self.example("data/korean.val.jsonl")
        let set = [
            "model=\(Self.example("base"))", "dus.to=12", "resize-vocab.learn=40",
            "resize-vocab.corpus=\(korean)", "heal.data=[\"\(korean):0.75\"]",
            "heal.replay=[\"\(Self.example("data/english.val.jsonl")):0.25\"]", "heal.tokens=600",
            "heal.batch=2", "heal.accumulate=2", "heal.length=32",
        ]
        let run = try CommandRun(["run", file, "-o", "out"] + set.flatMap { ["--set", $0] }, in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        let manifest = try Manifest.read(path: folder.path("out/surgery.json"))
        #expect(manifest.operations.map(\.name) == (try Recipe.read(path: file)).steps.map(\.kind))
        #expect(manifest.operations[2].parameters["tokens"]?.int == 600)
        #expect(try folder.names() == ["out", "out.run"])
    }

    /// At full size, from config.json alone.
    @Test(arguments: [
        ("llama-pro-8.3b", "llama-2-7b", 8_357_482_496, 1_619_066_880),
        ("eeve", "solar-10.7b-v1.0", 10_804_924_416, 10_804_924_416),
        ("kanana-9.8b", "llama-3-8b", 9_775_157_248, 9_775_157_248),
        ("minitron-depth", "llama-3-8b", 4_540_469_248, 4_540_469_248),
        ("finpythia", "pythia-6.9b", 6_857_302_016, 6_857_302_016),
        ("bloomberggpt", "bloomberggpt", 50_558_868_480, 50_558_868_480),
    ])
    func stagesAtFullSize(recipe: String, configuration: String, parameters: Int, trained: Int) throws {
        let folder = try Folder()
        let recipes = Self.package.appending(path: "recipes").path
        let run = try CommandRun(
            [
                "run", "\(recipes)/\(recipe).yaml", "--set",
                "model=\(recipes)/configurations/\(configuration)",
                "--dry-run", "--json",
            ], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        let last = try run.json()["steps"]?.array?.last
        #expect(last?["parameters"]?.int == parameters)
        #expect(last?["trained_parameters"]?.int == trained)
        #expect(try folder.names().isEmpty)
    }

    /// The blocks that were added are all that moves.
    @Test func llamaPro() throws {
        let folder = try Folder()
        let file = Self.package.appending(path: "recipes/llama-pro-8.3b.yaml").path
        let set = [
            "model=\(Self.example("base"))", "expand.to=10",
            "heal.data=[\"\(Self.example("data/korean.val.jsonl"))\"]", "heal.steps=3", "heal.warmup=1",
            "heal.batch=2", "heal.accumulate=2", "heal.length=32",
        ]
        let run = try CommandRun(["run", file, "-o", "out"] + set.flatMap { ["--set", $0] }, in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        let (base, out) = (try Checkpoint.open(Self.example("base")), try Checkpoint.open(folder.path("out")))
        #expect(out.manifest?.operations.map(\.name) == (try Recipe.read(path: file)).steps.map(\.kind))
        // 8 layers, a block behind the fourth and the last.
        for (layer, origin) in [0, 1, 2, 3, nil, 4, 5, 6, 7, nil].enumerated() {
            let name = "model.layers.\(layer).mlp.down_proj.weight"
            let made = try #require(out[name]).floats()
            if let origin {
                let old = try #require(base["model.layers.\(origin).mlp.down_proj.weight"]).floats()
                #expect(made == old, "\(name)")
            } else {
                #expect(made.contains { $0 != 0 }, "\(name)")
            }
        }
        let (head, old) = (try #require(out["lm_head.weight"]), try #require(base["lm_head.weight"]))
        #expect(try head.floats() == old.floats())
    }

    /// All seven stages of one run; the old rows of the embedding move in the sixth alone.
    @Test func eeve() throws {
        let folder = try Folder()
        let file = Self.package.appending(path: "recipes/eeve.yaml").path
        let korean = Self.example("data/korean.val.jsonl")
        let recipe = try Recipe.read(path: file)
        let set = [
            "model=\(Self.example("base"))", "resize-vocab.learn=40", "resize-vocab.corpus=\(korean)",
            "heal.data=[\"\(korean)\"]", "heal.tokens=200", "heal.batch=2", "heal.accumulate=1",
            "heal.length=32", "heal.lr=1e-2", "heal.embedding-lr=1e-2", "heal.keep=7",
        ]
        let run = try CommandRun(["run", file, "-o", "out"] + set.flatMap { ["--set", $0] }, in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        let manifest = try Manifest.read(path: folder.path("out/surgery.json"))
        #expect(manifest.operations.map(\.name) == recipe.steps.map(\.kind))
        let heal = manifest.operations[1].parameters
        #expect(
            heal["stages"]?.array?.compactMap(\.string) == [
                "new-input", "new-output", "new-rows", "all-output", "new-input-all-output", "all", "layers",
            ])
        // Seven times the 200 tokens of a stage, one after the other; what is kept is the end of each.
        #expect(heal["tokens"]?.int == 7 * 200 && heal["steps"]?.int == 7 * 4)
        let base = try #require(Checkpoint.open(Self.example("base"))["model.embed_tokens.weight"])
        let height = base.shape[0]
        func movesOldRows(_ path: String, _ name: String = "model.embed_tokens.weight") throws -> Bool {
            let table = try #require(Checkpoint.open(folder.path(path))[name])
            #expect(table.shape[0] == height + 40)
            return try table.rows(0..<height).floats() != base.floats()
        }
        let name = "weights/model.embed_tokens.weight"
        for (step, moves) in [(4, false), (20, false), (24, true), (28, true)] {
            let path = "out.run/step-0000\(step < 10 ? "0" : "")\(step)"
            #expect(try movesOldRows(path, name) == moves, "\(step)")
        }
        #expect(try movesOldRows("out"))
    }

    /// Two stages, each on texts of its own, which lie beside the file.
    @Test func kanana() throws {
        let folder = try Folder()
        let shipped = Self.package.appending(path: "recipes/kanana-9.8b.yaml")
        try folder.write(String(contentsOf: shipped, encoding: .utf8), to: "recipe.yaml")
        let kinds = ["english-web", "korean-web", "academic", "code", "encyclopedia"]
        let names = kinds + kinds.map { "\($0).best" } + ["instruction"]
        for name in names {
            let text = String(repeating: "This is the text of \(name). ", count: 40)
            try folder.write("{\"text\": \"\(text)\"}\n", to: "\(name).jsonl")
        }
        let set = [
            "model=\(Self.example("base"))", "dus.from=8", "dus.to=10", "heal.tokens=512", "heal.batch=2",
            "heal.accumulate=2", "heal.length=32", "heal.warmup=1",
        ]
        let run = try CommandRun(
            ["run", "recipe.yaml", "-o", "out", "--json"] + set.flatMap { ["--set", $0] }, in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        let heal = try #require(try run.json()["steps"]?.array?.last)
        #expect(heal["tokens"]?.int == 1_024)
        let sources = try #require(heal["sources"]?.object)
        #expect(sources.count == names.count)
        for (name, share) in [
            ("english-web", 0.678), ("code", 0.128), ("academic.best", 0.358), ("instruction", 0.018),
        ] {
            let shown = try #require(sources["\(name).jsonl"]?["tokens"]?.int)
            #expect(abs(Double(shown) / 512 - share) < 0.01, "\(name)")
        }
        let manifest = try Manifest.read(path: folder.path("out/surgery.json"))
        #expect(manifest.operations.map(\.name) == ["dus", "heal"])
        #expect(manifest.operations[0].facts["layers"]?["plan"] == "0-4,3-7")
        #expect(manifest.operations[1].parameters["stages"] == ["stage-1", "stage-2"])
    }

    /// Llama 2's configuration and a tokenizer of as many tokens: the rows are those of Code Llama.
    @Test func codeLlamaAtFullSize() throws {
        let folder = try Folder()
        let recipes = Self.package.appending(path: "recipes")
        try FileManager.default.createDirectory(
            at: folder.url.appending(path: "llama"), withIntermediateDirectories: false)
        try FileManager.default.copyItem(
            at: recipes.appending(path: "configurations/llama-2-7b/config.json"),
            to: folder.url.appending(path: "llama/config.json"))
        let tokens = (0..<32_000).map { $0 < 3 ? ["<unk>", "<s>", "</s>"][$0] : "t\($0)" }
        let vocabulary = tokens.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
        try folder.write(
            "{\"model\": {\"type\": \"BPE\", \"vocab\": {\(vocabulary)}, \"merges\": []}}",
            to: "llama/tokenizer.json")
        let file = recipes.appending(path: "code-llama.yaml").path
        let run = try CommandRun(
            ["run", file, "--set", "model=llama", "--dry-run", "--json"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        let steps = try #require(try run.json()["steps"]?.array)
        #expect(steps.map { $0["parameters"]?.int } == [6_738_546_688, 6_738_546_688, 6_738_546_688])
        #expect(steps.map { $0["steps"]?.int } == [nil, (500_000_000_000 / 4_096 + 1_024) / 1_024, 3_000])
    }

    /// Four tokens, documents turned round, and longer sequences with another base.
    @Test func codeLlama() throws {
        let folder = try Folder()
        let file = Self.package.appending(path: "recipes/code-llama.yaml").path
        let (code, text) = (Self.example("data/english.val.jsonl"), Self.example("data/korean.val.jsonl"))
        let sources = ["code.", "long-context."].flatMap {
            [
                "\($0)data=[\"code=\(code):0.85\", \"about=\(code):0.08\"]",
                "\($0)replay=[\"text=\(text):0.07\"]", "\($0)batch=2", "\($0)accumulate=1",
                "\($0)warmup=1",
            ]
        }
        let set =
            ["model=\(Self.example("base"))", "code.tokens=1024", "code.length=256"]
            + ["long-context.steps=2", "long-context.length=512"] + sources
        let run = try CommandRun(
            ["run", file, "-o", "out", "--json"] + set.flatMap { ["--set", $0] }, in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        // Documents of both sources of code are turned round, those of text are not.
        #expect(run.messages.contains(/infilling +code: \d+ PSM and \d+ SPM of/), "\(run.messages)")
        #expect(run.messages.contains("about:") && !run.messages.contains("infilling  text:"))
        let out = try Checkpoint.open(folder.path("out"))
        let manifest = try #require(out.manifest)
        let done = (manifest.history + manifest.operations).map(\.name)
        #expect(done.suffix(3) == ["resize-vocab", "heal", "heal"])
        #expect(out["model.embed_tokens.weight"]?.shape[0] == 1_040)
        let rotary = out.configuration?.json["rope_parameters"] ?? out.configuration?.json
        #expect(rotary?["rope_theta"]?.double == 1e6)
        let tokenizer = try Tokenizer.open(folder.path("out"))
        #expect(
            ["<PRE>", "<SUF>", "<MID>", "<EOT>"].map { tokenizer.id(of: $0) } == [1_024, 1_025, 1_026, 1_027])
        for step in ["steps/code/record.jsonl", "record.jsonl"] {
            let bytes = try folder.bytes("out.run/\(step)")
            let first = try JSON(
                parsing: [UInt8](bytes.prefix { $0 != UInt8(ascii: "\n") }), file: "record")
            let infilling = first["stages"]?[0]?["infilling"]
            #expect(
                infilling?["rate"]?.double == 0.9 && infilling?["tokens"]?["end"]?.int == 1_027, "\(step)")
        }
    }

    /// A block of neighbours goes; with a rate of nothing the others are the source's, by whose logits they learn.
    @Test func minitronByDepth() throws {
        let folder = try Folder()
        let file = Self.package.appending(path: "recipes/minitron-depth.yaml").path
        let set = [
            "model=\(Self.example("base"))", "prune.drop=3-6",
            "heal.replay=[\"\(Self.example("data/english.val.jsonl"))\"]", "heal.tokens=200", "heal.batch=2",
            "heal.accumulate=2", "heal.length=32", "heal.warmup=1", "heal.lr=0", "heal.embedding-lr=0",
        ]
        let run = try CommandRun(["run", file, "-o", "out"] + set.flatMap { ["--set", $0] }, in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        let (base, out) = (try Checkpoint.open(Self.example("base")), try Checkpoint.open(folder.path("out")))
        #expect(out.manifest?.operations.map(\.name) == (try Recipe.read(path: file)).steps.map(\.kind))
        let healed = out.manifest?.operations[1].parameters
        #expect(healed?["tokens"]?.int == 200 && healed?["teacher"]?["name"] == "base")
        #expect(healed?["teacher"]?["taught"] == healed?["teacher"]?["targets"])
        for (layer, origin) in [0, 1, 2, 7].enumerated() {
            let name = "mlp.down_proj.weight"
            let made = try #require(out["model.layers.\(layer).\(name)"]).floats()
            let old = try #require(base["model.layers.\(origin).\(name)"]).floats()
            #expect(made == old, "\(layer)")
        }
        #expect(out["model.layers.4.mlp.down_proj.weight"] == nil)
    }

    /// New tokens, their rows from the old reading of a text, and then all of it: one run.
    @Test func rowsAreDistilledFirst() throws {
        let folder = try Folder()
        let korean = Self.example("data/korean.val.jsonl")
        try folder.write(
            """
            model: \(Self.example("base"))
            output: out
            steps:
              - resize-vocab: {learn: 20, corpus: ["\(korean)"]}
              - heal:
                  data: ["ko=\(korean)"]
                  length: 64
                  batch: 2
                  lr: 1e-3
                  stages:
                    - {name: rows, distil-rows: snippets=2 length=30}
                    - {name: all, steps: 2}
            """, to: "recipe.yaml")
        let dry = try CommandRun(["run", "recipe.yaml", "--dry-run"], in: folder.url)
        #expect(dry.code == 0 && dry.messages.contains("compared behind layer 3 of 8"), "\(dry.messages)")
        let run = try CommandRun(["run", "recipe.yaml"], in: folder.url)
        #expect(run.code == 0 && run.messages.contains("new tokens were distilled from"), "\(run.messages)")
        let operations = try Manifest.read(path: folder.path("out/surgery.json")).operations
        #expect(operations.map(\.name) == ["resize-vocab", "heal"])
        let rows = operations[1].parameters["distilled_rows"]?[0]
        #expect(rows?["tokens"] == 20 && (rows?["found"]?.int ?? 0) > 10, "\(String(describing: rows))")
    }

    @Test(arguments: [
        (
            "heal: {dta: [x]}",
            "line 3: there is no parameter of heal 'dta'; did you mean data?"
        ),
        ("heal: {steps: 3}", "line 3: give either text (data, replay) or ids"),
        ("heal: {data: [{fle: x}]}", "line 3: data is [{\"fle\":\"x\"}], and must be files as in"),
        ("heal: {data: [x], steps: 3, tokens: 5}", "line 3: give one of steps, tokens and epochs"),
        ("heal: {data: [x], lr: 11}", "line 3: lr must be from 0 to 10, not 11"),
        ("heal: {data: [x], schedule: linaer}", "schedule is \"linaer\", and must be one of"),
        ("eval: {}", "line 3: eval needs data: sets of documents"),
        ("heal: {data: [x, x]}", "two sources are called 'x'"),
        (
            "heal:\n      data: [x]\n      stages:\n        - name: a\n          learning-rate: 1",
            "line 7: there is no parameter of stage 'learning-rate'"
        ),
        (
            "heal:\n      data: [x]\n      stages:\n        - {name: a}\n        - {grups: []}",
            "line 7: there is no parameter of stage 'grups'; did you mean groups?"
        ),
        (
            "heal:\n      data: [x]\n      stages:\n        - name: a\n        - name: b\n          lr: 11",
            "line 7: the stage 'b': lr must be from 0 to 10, not 11"
        ),
        ("heal: {data: [x], distil-rows: snipets=2}", "did you mean snippets?"),
        (
            "heal: {data: [x], stages: [{name: a, distil-rows: snippets=2, lr: 1e-3}]}",
            "line 3: the stage 'a': lr does not go with distil-rows"
        ),
        ("heal: {data: [x], stages: [{seed: 1}]}", "line 3: there is no parameter of stage 'seed'"),
        (
            "heal: {data: [x], stages: [{name: a, steps: 1, tokens: 2}]}",
            "line 3: the stage 'a': give one of steps, tokens and epochs"
        ),
    ])
    func aStepThatIsWrong(step: String, message: String) throws {
        let folder = try Folder()
        try folder.write("model: x\nsteps:\n  - \(step)\n", to: "recipe.yaml")
        let run = try CommandRun(["run", "recipe.yaml"], in: folder.url)
        #expect(run.code != 0 && run.messages.contains(message), "\(run.messages)")
        #expect(try folder.names() == ["recipe.yaml"])
    }

    /// Every option of `trainer heal` that decides what is done is a parameter of a step, and the other way round.
    @Test func optionsAndParametersAreTheSame() throws {
        let folder = try Folder()
        let help = try CommandRun(["heal", "--help"], of: "trainer", in: folder.url)
        let text = help.output + help.messages
        let options = Set(text.matches(of: /(?m)^  (?:-\w, )?--([a-z0-9-]+)/).map { String($0.1) })
        let notOfTheJob: Set = [
            "output", "force", "resume", "at-step", "dry-run", "explain", "json", "threads", "version",
            "help", "on", "hosts", "rendezvous", "device", "dtype", "python", "plan-only",
        ]
        #expect(options.subtracting(notOfTheJob) == Set(TrainingJob.parameterList.map(\.name)))
        #expect(Set(TrainingJob.defaults.keys).isSubset(of: Set(TrainingJob.parameterList.map(\.name))))
    }
}
