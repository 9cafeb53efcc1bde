import Formats
import Foundation
import Models
import OrderedCollections
import Recipes
import Surgery
import Testing

@Suite("Recipes")
struct RecipeTests {
    /// The folder of what ships beside the package.
    private static let shipped = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "recipes")

    private func write(_ text: String, to name: String, in folder: ModelFolder) throws {
        let url = folder.url.appending(path: name)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    // MARK: What ships

    @Test(arguments: [
        ("solar-10.7b", "mistral-7b-v0.1", 10_731_524_096), ("yi-9b", "yi-6b", 8_829_407_232),
        ("solar-pro-22b", "phi-3-medium-4k-instruct", 22_139_376_640),
    ])
    func atFullSizeAsPublished(recipe: String, configuration: String, parameters: Int) throws {
        let folder = try ModelFolder()
        let model = Self.shipped.appending(path: "configurations/\(configuration)").path
        let run = try CommandRun(
            [
                "run", Self.shipped.appending(path: "\(recipe).yaml").path, "--set", "model=\(model)",
                "--dry-run",
                "--json",
            ], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(run.messages.contains("types and shapes follow from config.json"))
        let last = try run.json()["steps"]?.array?.last
        #expect(last?["parameters"]?.int == parameters && last?["bytes"]?.int == 2 * parameters)
        #expect(try folder.names() == ["base"])
    }

    /// Each shipped file on a small model with nothing but values set; every step is carried out.
    @Test(arguments: [
        ("solar-10.7b", ["dus.from=4", "dus.to=6"], "0-2,1-3"),
        ("solar-pro-22b", ["dus.from=4", "dus.to=6"], "0-2,1-3"),
        ("yi-9b", ["dus.from=4", "dus.to=6", "dus.keep-first=4"], "0-3,2-3"),
    ])
    func onASmallModel(recipe: String, set: [String], plan: String) throws {
        let folder = try ModelFolder()
        let file = Self.shipped.appending(path: "\(recipe).yaml").path
        let run = try CommandRun(
            ["run", file] + (["model=base"] + set).flatMap { ["--set", $0] }, in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(try folder.names() == ["base", recipe])
        let manifest = try #require(Checkpoint.open(folder.url.appending(path: recipe).path).manifest)
        #expect(manifest.operations.map(\.name) == (try Recipe.read(path: file)).steps.map(\.kind))
        #expect(manifest.operations[0].facts["layers"]?["plan"] == .string(plan))
        #expect(try CommandRun(["verify", recipe], in: folder.url).code == 0)
    }

    @Test func everyShippedFileIsTested() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.shipped.path)
            .filter { $0.hasSuffix(".yaml") }
        #expect(
            files.sorted() == [
                "bloomberggpt.yaml", "code-llama.yaml", "eeve.yaml", "finpythia.yaml", "kanana-9.8b.yaml",
                "korean-vocabulary.yaml",
                "llama-pro-8.3b.yaml", "minitron-depth.yaml",
                "solar-10.7b.yaml", "solar-pro-22b.yaml", "yi-9b.yaml",
            ])
    }

    // MARK: Steps

    private static let three = """
        model: ../base
        output: whole
        steps:
          - dus: {to: 6}
            output: deep
          - name: block
            expand: {after: 5}
          - name: half
            convert: {dtype: bf16}
        """

    @Test func stepsInOnePassAndFromOneOn() throws {
        let folder = try ModelFolder()
        try write(Self.three, to: "r/recipe.yaml", in: folder)
        let run = try CommandRun(["run", "r/recipe.yaml"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        let path = folder.url.appending(path: "r").path
        let whole = try Checkpoint.open(path + "/whole")
        // What was written in between is a model of its own, and the next one's history.
        #expect(whole.manifest?.history.map(\.name) == ["dus"])
        #expect(whole.manifest?.operations.map(\.name) == ["expand", "convert"])
        #expect(try Checkpoint.open(path + "/deep").layers().count == 6 && whole.layers().count == 7)
        let later = try CommandRun(
            ["run", "r/recipe.yaml", "--from-step", "block", "-o", "again"], in: folder.url)
        #expect(later.code == 0, "\(later.messages)")
        let again = try Checkpoint.open(folder.url.appending(path: "again").path)
        #expect(
            try again.tensors.values.map { try $0.floats() } == whole.tensors.values.map { try $0.floats() })
        let one = try CommandRun(
            ["run", "r/recipe.yaml", "--only", "block", "--set", "block.after=0", "-o", "one", "--json"],
            in: folder.url)
        #expect(one.code == 0, "\(one.messages)")
        #expect(try one.json()["steps"]?.array?.count == 1)
        #expect(try one.json()["steps"]?[0]?["layers"]?["plan"] == "0,0:zero,1-5")
        // The half step has nothing before it that was written.
        let refused = try CommandRun(["run", "r/recipe.yaml", "--only", "half", "-o", "no"], in: folder.url)
        #expect(
            refused.code == 64 && refused.messages.contains("step block says no output"),
            "\(refused.messages)")
    }

    /// Two places for one model, an output of what makes none, and a model that nothing would begin with.
    @Test func whatNothingWouldReadIsRefused() throws {
        let folder = try ModelFolder()
        try write(Self.three, to: "r/recipe.yaml", in: folder)
        try write(
            "model: ../base\nsteps:\n  - dus: {to: 6}\n    output: deep\n", to: "r/own.yaml", in: folder)
        let twice = try CommandRun(["run", "r/own.yaml", "-o", "out"], in: folder.url)
        #expect(
            twice.code == 64 && twice.messages.contains("its step 'dus' has an output of its own"),
            "\(twice.messages)")
        #expect(!FileSystem.exists(folder.url.appending(path: "r/deep").path))
        #expect(try CommandRun(["run", "r/own.yaml"], in: folder.url).code == 0)
        try write(
            "model: ../base\noutput: all\nsteps:\n  - dus: {to: 6}\n  - eval: {data: [a.jsonl]}\n    output: other\n",
            to: "r/eval.yaml", in: folder)
        let eval = try CommandRun(["run", "r/eval.yaml", "--dry-run"], in: folder.url)
        #expect(
            eval.code == 2 && eval.messages.contains("eval makes nothing that could be written"),
            "\(eval.messages)")
        #expect(try CommandRun(["run", "r/recipe.yaml"], in: folder.url).code == 0)
        let words = ["run", "r/recipe.yaml", "--from-step", "block", "-o", "again", "--dry-run"]
        #expect(try CommandRun(words, in: folder.url).code == 0)
        let other = try CommandRun(words + ["--set", "model=nowhere"], in: folder.url)
        #expect(
            other.code == 64 && other.messages.contains("--set model names what the recipe begins with"),
            "\(other.messages)")
        let step = try CommandRun(
            ["run", "base", "-o", "no", "--step", "dus --to 6 --shard-size=1KB"], in: folder.url)
        #expect(
            step.code == 64 && step.messages.contains("--shard-size=1KB stands behind surgery run"),
            "\(step.messages)")
    }

    @Test func aCommandLineIsARecipe() throws {
        let folder = try ModelFolder()
        let words = [
            "run", "base", "-o", "out", "--step", "dus --to 6 --noise 0.1", "--step", "dus --to 8",
            "--step", "convert", "--save-recipe", "saved.yaml",
        ]
        #expect(try CommandRun(words + ["--dry-run"], in: folder.url).code == 0)
        let place = folder.url.appending(path: "saved.yaml").path
        #expect(!FileSystem.exists(place))
        let run = try CommandRun(words, in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        // The same command says the same, and another does not replace it.
        #expect(try CommandRun(words + ["--force"], in: folder.url).code == 0)
        let replaced = try CommandRun(
            ["run", "base", "-o", "new", "--step", "dus --to 6", "--save-recipe", "saved.yaml"],
            in: folder.url)
        #expect(
            replaced.code == 64 && replaced.messages.contains("saved.yaml exists"), "\(replaced.messages)")
        #expect(!FileSystem.exists(folder.url.appending(path: "new").path))
        let again = try CommandRun(["run", "saved.yaml", "-o", "again"], in: folder.url)
        #expect(again.code == 0, "\(again.messages)")
        let (one, other) = (try folder.contents(of: "out"), try folder.contents(of: "again"))
        #expect(
            one["model.safetensors"] == other["model.safetensors"]
                && one["config.json"] == other["config.json"])
        let recipe = try Recipe.read(path: folder.url.appending(path: "saved.yaml").path)
        #expect(recipe.steps.map(\.name) == ["dus", "dus-2", "convert"])
    }

    /// Every key that the schema knows is read, and the other way round.
    @Test func theSchemaIsPrinted() throws {
        let folder = try ModelFolder()
        let run = try CommandRun(["run", "--schema"], in: folder.url)
        #expect(run.code == 0)
        let schema = try run.json()
        #expect(schema["properties"]?.object?.keys.contains("steps") == true)
        let step = schema["properties"]?["steps"]?["items"]?["anyOf"]?[0]?["properties"]
        for operation in Recipe.operations {
            let keys = step?[operation.name]?["properties"]?.object?.keys.map { $0 }
            #expect(keys == operation.parameterList.map(\.name), "\(operation.name)")
        }
    }

    @Test func aDryRunNeedsNoData() throws {
        let folder = try ModelFolder()
        let text = """
            model: base
            steps:
              - resize-vocab: {learn: 100, corpus: [korean.jsonl], pad-to-multiple-of: 8}
              - prune: {to: 2, scores: scores.json}
            """
        try write(text, to: "recipe.yaml", in: folder)
        let run = try CommandRun(["run", "recipe.yaml", "--dry-run", "--json"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(run.messages.contains("korean.jsonl is not there yet"))
        #expect(run.messages.contains("scores.json is not there yet"))
        let steps = try run.json()["steps"]
        #expect(steps?[0]?["rows"]?["after"] == 104 && steps?[1]?["layers"]?["after"] == 2)
        #expect(try CommandRun(["run", "recipe.yaml"], in: folder.url).code == 2)
    }

    // MARK: What is wrong

    @Test(arguments: [
        ("steps: [dus]", "line 1: dus needs to"), ("model: x", "it has no steps"),
        ("steps: {}", "must be a list"),
        ("model: [x]\nsteps: [convert]", "line 1: model is [\"x\"], and must be a text"),
        ("steps:\n  - duz: {to: 3}", "line 2: there is no operation 'duz'; did you mean dus?"),
        (
            "steps:\n  - dus:\n      to: 3\n      kep-first: 2",
            "line 4: there is no parameter of dus 'kep-first'"
        ),
        ("steps:\n  - layers: {plan: 0-2,1-2}", "line 2: there is no parameter of layers '1-2'"),
        ("steps:\n  - dus: {to: x}", "line 2: to is \"x\", and must be a whole number"),
        ("modle: x\nsteps: [convert]", "line 1: there is no key 'modle'; did you mean model?"),
        ("steps:\n  - {dus: {to: 3}, prune: {drop: 1}}", "a step does one thing, and here are dus and prune"),
        ("steps:\n  - {name: x}", "a step says what is done"),
        ("steps: [convert, convert]", "two steps are called convert"),
        ("steps:\n  - dus: [3]", "the parameters of dus are a mapping, not a list"),
        ("[1]", "a recipe is a mapping"),
        ("steps: [convert]", "names no model; add --set model=PATH"),
        ("model: base\nsteps:\n\t- convert", "indent with spaces"),
        (
            "model: base\nsteps:\n  - convert: {to: pickle}",
            "to is \"pickle\", and must be one of safetensors, hdf5"
        ),
    ])
    func aRecipeThatIsWrong(text: String, message: String) throws {
        let folder = try ModelFolder()
        try write(text, to: "recipe.yaml", in: folder)
        let run = try CommandRun(["run", "recipe.yaml"], in: folder.url)
        #expect(run.code != 0 && run.messages.contains(message), "\(run.messages)")
        #expect(try folder.names() == ["base", "recipe.yaml"])
    }

    @Test(arguments: [
        ("dus", "give model=PATH, output=PATH or STEP.PARAMETER=VALUE"), ("dus=3", "STEP.PARAMETER"),
        ("duz.to=3", "there is no step 'duz'; did you mean dus?"), ("dus.too=3", "did you mean to?"),
        ("dus.to=many", "to is \"many\", and must be a whole number"),
    ])
    func aValueThatCannotBeSet(assignment: String, message: String) throws {
        let folder = try ModelFolder()
        try write(Self.three, to: "r/recipe.yaml", in: folder)
        let run = try CommandRun(["run", "r/recipe.yaml", "--set", assignment], in: folder.url)
        #expect(run.code != 0 && run.messages.contains(message), "\(run.messages)")
    }

    /// A recipe is read, too.
    @Test func theRecipeIsNoOutput() throws {
        let folder = try ModelFolder()
        try write("model: base\nsteps: [{dus: {to: 6}}]\n", to: "deep/recipe.yaml", in: folder)
        try write("{}", to: "deep/config.json", in: folder)
        let run = try CommandRun(["run", "deep/recipe.yaml", "-o", "deep", "--force"], in: folder.url)
        #expect(run.code != 0 && run.messages.contains("deep/recipe.yaml"), "\(run.messages)")
        let left = try FileManager.default.contentsOfDirectory(
            atPath: folder.url.appending(path: "deep").path)
        #expect(left.sorted() == ["config.json", "recipe.yaml"])
    }

    // MARK: The hub's cache

    @Test func aModelInTheHubsCache() throws {
        let folder = try ModelFolder()
        let cache = folder.url.appending(path: "cache/hub/models--some--model")
        try FileManager.default.createDirectory(
            at: cache.appending(path: "snapshots"), withIntermediateDirectories: true)
        try FileManager.default.moveItem(at: folder.model, to: cache.appending(path: "snapshots/abc"))
        try write("abc\n", to: "cache/hub/models--some--model/refs/main", in: folder)
        let home = ["HF_HOME": folder.url.appending(path: "cache").path]
        let run = try CommandRun(["dus", "some/model", "--to", "6"], in: folder.url, environment: home)
        #expect(run.code == 0, "\(run.messages)")
        #expect(try folder.names() == ["cache", "model-dus-6"])
        #expect(try CommandRun(["inspect", "some/model@abc"], in: folder.url, environment: home).code == 0)
        let other = try CommandRun(["inspect", "some/model@v2"], in: folder.url, environment: home)
        #expect(other.code == 2 && other.messages.contains("there are abc: name one as some/model@abc"))
        let none = try CommandRun(["inspect", "some/other"], in: folder.url, environment: home)
        #expect(none.code == 2 && none.messages.contains("nor is a model of that name in the hub's cache"))
    }
}
