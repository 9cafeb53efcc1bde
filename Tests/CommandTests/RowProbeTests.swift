import Formats
import Foundation
import Models
import Recipes
import Surgery
import Testing
import Trainer

/// `--init auto` on the project's own small base model.
@Suite("Trying how rows begin")
struct RowProbeTests {
    private static let examples = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Examples")
    private static func example(_ name: String) -> String { examples.appending(path: name).path }
    /// As much as the examples' text has.
    private static let small = TrainingProbe.Size(steps: 3, batch: 2, length: 64, heldBack: 6)

    private static var change: VocabularyChange {
        var change = VocabularyChange()
        (change.learn, change.corpus) = (60, [example("data/korean.train.jsonl")])
        change.initialization = "auto"
        return change
    }

    private func outcome(
        _ change: VocabularyChange, healing: TrainingJob? = nil, threads: Int = 2,
        isCancelled: @escaping () -> Bool = { false }, say: @escaping (String) -> Void = { _ in }
    ) throws -> Outcome {
        let probe = RowProbe(healing: healing, size: Self.small, threads: threads, say: say)
        return try Checkpoint.openModel(Self.example("base")).applying(
            change, OperationContext(threads: threads, probe: probe, isCancelled: isCancelled))
    }

    /// What is written is what the method makes by itself, byte for byte, and the manifest has the table.
    @Test func theBestIsWritten() throws {
        var said: [String] = []
        let found = try outcome(Self.change, say: { said.append($0) })
        let facts = try #require(found.facts["init_probe"])
        let methods = try #require(facts["methods"]?.array)
        #expect(methods.compactMap { $0["init"]?.string } == ["subword-mean", "bil", "eeve", "mean-cov"])
        func numbers(_ key: String) -> [Double] { methods.compactMap { $0[key]?.double } }
        let (before, after) = (numbers("bits_per_byte_before"), numbers("bits_per_byte_after"))
        #expect(before.count == 4 && after.count == 4 && Set(after).count == 4)
        #expect(zip(before, after).allSatisfy { $0 > $1 && $1 > 0 })
        let least = try #require(after.min())
        let best = try #require(after.firstIndex(of: least))
        let name = try #require(methods[best]["init"]?.string)
        #expect(facts["chosen"]?.string == name && facts["tokens"] == 384 && facts["text"] == ["corpus"])
        #expect(try #require(facts["held_back"]?["tokens"]?.int) >= 384)
        #expect(found.summary.map(\.text).contains { $0.contains("bits per byte before and after 3 steps") })
        #expect(said.count == 1 && said[0].contains("of memory"))

        let folder = try ModelFolder()
        try CheckpointWriter().write(found.checkpoint, to: folder.url.appending(path: "auto").path)
        var change = Self.change
        change.initialization = name
        try CheckpointWriter().write(
            try outcome(change).checkpoint, to: folder.url.appending(path: "method").path)
        var (auto, method) = (try folder.contents(of: "auto"), try folder.contents(of: "method"))
        let manifest = try Manifest.read(path: folder.url.appending(path: "auto/surgery.json").path)
        (auto["surgery.json"], method["surgery.json"]) = (nil, nil)
        #expect(auto == method && auto.count > 3)
        #expect(manifest.operations.map(\.name) == ["resize-vocab"])
        #expect(manifest.operations[0].parameters["init"] == "auto")
        #expect(manifest.operations[0].facts["init_probe"] == facts)
        #expect(
            manifest.operations[0].facts["init"]?.string == InitializationPair(name: name)?.input.rawValue)
    }

    /// The number of threads decides nothing, the seed the order of the text.
    @Test func theSameSeedFindsTheSame() throws {
        let one = try outcome(Self.change, threads: 1)
        #expect(try outcome(Self.change, threads: 2).facts == one.facts)
        var change = Self.change
        change.seed = 1
        #expect(try outcome(change).facts["init_probe"] != one.facts["init_probe"])
    }

    /// Where a healing follows, its data, its rates and its weights count.
    @Test func theHealingThatFollowsGivesTextAndRates() throws {
        var job = TrainingJob()
        job.data = [TextSource(name: "ko", path: Self.example("data/korean.train.jsonl"), weight: 3)]
        job.replay = [TextSource(name: "en", path: Self.example("data/english.train.jsonl"), weight: 1)]
        job.lr = 0
        let found = try outcome(Self.change, healing: job)
        #expect(found.facts["init_probe"]?["text"] == ["ko", "en"])
        // At a rate of nothing nothing is learned.
        for method in try #require(found.facts["init_probe"]?["methods"]?.array) {
            #expect(method["bits_per_byte_before"] == method["bits_per_byte_after"])
        }
        #expect(found.facts["init_probe"]?["chosen"]?.string != nil)
        // In stages the first that reads text.
        var staged = TrainingJob()
        staged.stages = [
            try TrainingStage(parsing: "ids: rows.safetensors"),
            try TrainingStage(parsing: "data: [ko=\(Self.example("data/korean.train.jsonl"))], lr: 0"),
        ]
        let other = try outcome(Self.change, healing: staged)
        #expect(other.facts["init_probe"]?["text"] == ["ko"])
    }

    /// A stop in the middle of the steps ends it, and nothing is there to be written.
    @Test func itStops() throws {
        var asked = 0
        let error = #expect(throws: UserFacingError.self) {
            try outcome(
                Self.change,
                isCancelled: {
                    asked += 1
                    return asked > 40
                })
        }
        #expect(error?.kind == .interrupted)
    }

    @Test func whatCannotBeTriedIsRefused() throws {
        func refusal(_ change: (inout VocabularyChange) -> Void) -> UserFacingError? {
            var asked = Self.change
            change(&asked)
            return #expect(throws: UserFacingError.self) { try outcome(asked) }
        }
        let tokens = refusal { ($0.learn, $0.corpus, $0.tokens) = (nil, nil, "tokens.txt") }
        #expect(tokens?.kind == .request && tokens?.message.contains("give --corpus FILE") == true)
        let size = refusal { ($0.learn, $0.corpus, $0.size) = (nil, nil, 5_000) }
        #expect(size?.message.contains("give zero, mean or mean-cov") == true)
        let head = refusal { $0.initOutput = .zero }
        #expect(head?.message.contains("leave init-output out") == true)
        let pipe = refusal { $0.corpus = ["-"] }
        #expect(pipe?.message.contains("more than once") == true)
        // Without anything that trains.
        let alone = #expect(throws: UserFacingError.self) {
            try Checkpoint.openModel(Self.example("base")).applying(Self.change)
        }
        #expect(alone?.kind == .request)
    }

    /// In a recipe the data of the healing that follows is what is read, and a dry run says what it will be.
    @Test func aRecipeTriesOnTheHealingsData() throws {
        let folder = try ModelFolder()
        let recipe = folder.url.appending(path: "recipe.yaml")
        func write(data: String) throws {
            let text = """
                model: \(Self.example("base"))
                output: grown
                steps:
                  - resize-vocab: {learn: 200, corpus: ["\(Self.example("data/korean.train.jsonl"))"], init: auto}
                  - heal: {data: ["\(data)"], steps: 2}
                """
            try Data(text.utf8).write(to: recipe)
        }
        try write(data: "other.jsonl")
        let dry = try CommandRun(["run", "recipe.yaml", "--dry-run", "--json"], in: folder.url)
        #expect(dry.code == 0, "\(dry.messages)")
        #expect(dry.messages.contains("would train subword-mean, bil, eeve, mean-cov"))
        #expect(try dry.json()["steps"]?[0]?["init"] == "auto")
        try write(data: Self.example("data/korean.val.jsonl"))
        let run = try CommandRun(["run", "recipe.yaml"], in: folder.url)
        #expect(run.code == 2 && run.messages.contains("korean.val.jsonl has "), "\(run.messages)")
        #expect(try folder.names() == ["base", "recipe.yaml"])
    }

    /// What is chosen after the step is no text to try rows on yet, though an earlier run may have left such a file.
    @Test(arguments: [false, true])
    func aSelectionAfterItIsRefused(isLeft: Bool) throws {
        let folder = try ModelFolder()
        let text = """
            model: \(Self.example("base"))
            output: grown
            steps:
              - resize-vocab: {learn: 200, corpus: ["\(Self.example("data/korean.train.jsonl"))"], init: auto}
              - select: {data: ["\(Self.example("data/korean.train.jsonl"))"], rules: [none]}
                name: chosen
              - heal: {data: ["step:chosen"], steps: 2}
            """
        try Data(text.utf8).write(to: folder.url.appending(path: "recipe.yaml"))
        if isLeft { try Data("{}\n".utf8).write(to: folder.url.appending(path: "grown.chosen.jsonl")) }
        let before = try folder.names()
        let run = try CommandRun(["run", "recipe.yaml"], in: folder.url)
        #expect(run.code == 64, "\(run.messages)")
        #expect(run.messages.contains("grown.chosen.jsonl is chosen only after this step"), "\(run.messages)")
        #expect(run.messages.contains("--init subword-mean"))
        #expect(try folder.names() == before)
    }

    /// On the command line: the examples have too little text for 50 steps, which is said with the numbers.
    @Test func tooLittleTextIsRefusedWithNumbers() throws {
        let folder = try ModelFolder()
        let arguments = [
            "resize-vocab", Self.example("base"), "--learn", "200", "--corpus",
            Self.example("data/korean.train.jsonl"), "--init", "auto", "-o", "out",
        ]
        let run = try CommandRun(arguments, in: folder.url)
        #expect(run.code == 2, "\(run.messages)")
        #expect(run.messages.contains("64,000 to train on and 16,384 in other documents"))
        #expect(run.messages.contains("--init subword-mean"))
        #expect(try folder.names() == ["base"])
    }
}
