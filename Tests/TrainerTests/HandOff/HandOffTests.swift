import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@testable import Trainer

/// Runs that are handed to other frameworks; no Python is started.
@Suite("Hand-offs to other frameworks") struct HandOffTests {
    private let folder: TemporaryFolder

    /// The golden Llama with layers 0, 1, 1, 2 and 40 more rows is written as `grown`.
    init() throws {
        folder = try TemporaryFolder()
        var resize = VocabularyChange()
        resize.size = 251
        let model = try GoldenModel(name: "llama").checkpoint().applying(DepthUpScaling(to: 4)).checkpoint
            .applying(resize).checkpoint
        try CheckpointWriter().write(model, to: folder.path("grown"))
    }

    /// Plans three steps of two sequences of 24 tokens.
    private func plan(
        on model: String? = nil, ids: String? = nil, _ change: (inout TrainingJob) -> Void = { _ in }
    ) throws -> RunFolder {
        var run = JobRun(on: model ?? folder.path("grown"), to: folder.path("healed"))
        run.job.ids = try ids ?? fixture("groups/rows.safetensors")
        (run.job.steps, run.job.batch, run.job.lr, run.job.embeddingLr) = (3, 2, 3e-3, 6e-4)
        (run.job.moments, run.job.gradients) = (.f32, .f32)
        change(&run.job)
        return try RunFolder.write(
            run.prepared(), ClusterSettings(device: .cpu), to: folder.path("healed.cluster"))
    }

    private func handOff(
        _ run: RunFolder, to target: HandOffTarget, without: Set<HandOffGap> = [], golden: Int? = nil
    ) throws -> String {
        let path = folder.path("\(target.rawValue)")
        try HandOff(run.path, to: target, without: without).write(to: path, golden: golden, threads: 1)
        return path
    }

    private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    private func numbers(_ path: String) throws -> [Int32] {
        let bytes = try Data(contentsOf: URL(filePath: path))
        return stride(from: 0, to: bytes.count, by: 4).map { place in
            (0..<4).reduce(Int32(0)) { $0 | Int32(bitPattern: UInt32(bytes[place + $1]) << UInt32(8 * $1)) }
        }
    }

    /// Neither the run nor its model is replaced by what is made of them.
    @Test func whatItReadsIsNoOutput() throws {
        let run = try plan()
        for output in ["healed.cluster", "grown"] {
            let before = try folder.names(output)
            let error = UserFacingError.isSource(path: folder.path(output), source: folder.path(output))
            #expect(throws: error) {
                try HandOff(run.path, to: .torchtitan).write(
                    to: folder.path(output), golden: 1, force: true, threads: 1)
            }
            #expect(try folder.names(output) == before)
        }
        // Nor is what is no hand-off.
        try FileManager.default.createDirectory(
            atPath: folder.path("notes"), withIntermediateDirectories: true)
        try folder.write("notes/diary.txt", "a day")
        let error = #expect(throws: UserFacingError.self) {
            try HandOff(run.path, to: .torchtitan).write(
                to: folder.path("notes"), golden: 1, force: true, threads: 1)
        }
        #expect(error?.message.contains("holds files but no plan.json of a hand-off") == true)
        #expect(try folder.names("notes") == ["diary.txt"])
    }

    // MARK: What is given up

    /// What a run asks for and no framework can do is refused by name, all of it in one message.
    @Test(arguments: HandOffTarget.allCases) func nothingIsLostInSilence(target: HandOffTarget) throws {
        let run = try plan {
            $0.groups = ["old-output-rows: freeze", "new-rows: rate=2, decay=0", "old-input-rows: rate=0.1"]
            $0.stages = [TrainingStage(["steps": 2]), TrainingStage(["steps": 3])]
        }
        let error = try #require(throws: UserFacingError.self) { try HandOff(run.path, to: target) }
        #expect(error.message.contains("--without stages,frozen-rows,row-rates goes on without it"))
        #expect(error.message.contains("lm_head.weight") && error.message.contains("2 stages"))
        let given = try HandOff(run.path, to: target, without: [.stages, .frozenRows, .rowRates])
        #expect(given.givenUp.map(\.name) == ["stages", "frozen-rows", "row-rates"])
    }

    /// What changes the model that is computed has no like elsewhere, and is not given up.
    @Test(arguments: ["--rope-theta", "--seam ramp", "--teacher"])
    func whatNoFrameworkDoesIsRefused(name: String) throws {
        let teacher = try fixture("golden/llama")
        let run = try plan { job in
            switch name {
            case "--seam ramp": job.seam = .ramp
            case "--teacher": job.teacher = teacher
            default: job.ropeTheta = 2e4
            }
        }
        let error = try #require(throws: UserFacingError.self) { try HandOff(run.path, to: .axolotl) }
        #expect(error.message.hasPrefix("the run has \(name), which no framework does"))
    }

    @Test func distilledRowsAreRefused() throws {
        let base = try Checkpoint.open(example("base"))
        var change = VocabularyChange()
        change.tokens = try fixture("rows/tokens.txt")
        try CheckpointWriter().write(base.applying(change).checkpoint, to: folder.path("words"))
        let texts = try fixture("rows/texts.jsonl")
        let run = try plan(on: folder.path("words")) { job in
            (job.ids, job.steps, job.batch, job.lr) = (nil, nil, 8, TrainingJob().lr)
            (job.embeddingLr, job.distilRows) = (nil, "snippets=2 length=40")
            job.data = [TextSource(name: "ko", path: texts, weight: 1)]
        }
        let error = try #require(throws: UserFacingError.self) { try HandOff(run.path, to: .axolotl) }
        #expect(error.message.hasPrefix("the run has --distil-rows, which no framework does"))
    }

    /// A run that asks for nothing of the kind is handed over as it is.
    @Test(arguments: HandOffTarget.allCases) func whatIsNotAskedForIsNotSaid(target: HandOffTarget) throws {
        let handOff = try HandOff(try plan { $0.schedule = .constant }.path, to: target)
        #expect(handOff.givenUp.isEmpty)
    }

    /// Queries and keys are one parameter for Megatron, so that they can't have rates of their own there.
    @Test func fusedTensorsAreSaid() throws {
        let run = try plan {
            $0.schedule = .constant
            $0.groups = ["names=*.q_proj.weight: rate=0.5"]
        }
        #expect(try HandOff(run.path, to: .automodel).givenUp.isEmpty)
        #expect(try HandOff(run.path, to: .torchtitan).givenUp.isEmpty)
        let megatron = try HandOff(run.path, to: .megatronBridge, without: [.tensorRates])
        #expect(megatron.givenUp.map(\.name) == ["tensor-rates"])
        #expect(megatron.givenUp.first?.text.contains("model.layers.0.self_attn.q_proj.weight") == true)
    }

    @Test func modelsThatAreNotKnownAreRefused() throws {
        let neox: JSON = ["model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"]]
        for target in [HandOffTarget.megatronBridge, .torchtitan] {
            let error = try #require(throws: UserFacingError.self) { try target.tool.check(neox) }
            #expect(error.message.contains("hand the run to automodel or axolotl"))
        }
        let window: JSON = ["model_type": "mistral", "sliding_window": 4_096]
        #expect(throws: UserFacingError.self) { try TorchTitan().check(window) }
        #expect(throws: Never.self) {
            try TorchTitan().check(["model_type": "mistral", "sliding_window": nil])
        }
    }

    /// AutoModel's mask of documents takes the place of transformers' own, so that a window would be lost.
    @Test func modelsThatWouldBeOtherModelsAreRefused() throws {
        let model = try PretrainedModel.open(fixture("golden/gemma2")).architecture
        #expect(throws: UserFacingError.self) { try AutoModel().check(model, length: 24) }
        let window = try PretrainedModel.open(fixture("golden/mistral")).architecture
        let least = try #require(window.layers.compactMap(\.attention.window).min())
        let error = try #require(throws: UserFacingError.self) {
            try AutoModel().check(window, length: least + 1)
        }
        #expect(error.message.contains("a window of \(least) tokens"))
        #expect(throws: Never.self) { try AutoModel().check(window, length: least) }
    }

    // MARK: Data

    /// A sequence that holds several documents, one of which ends before its end.
    private static let row = PlannedSequences.Row(
        tokens: [5, 6, 7, 8, 9, 4], targets: [6, 7, -1, 9, 4, 11], starts: [0, 0, 0, 3, 3, 3])

    @Test func sequencesFallIntoDocuments() {
        #expect(Self.row.pieces == [0..<3, 3..<6])
        var alone = Self.row
        alone.starts = [0, 0, 2, 3, 3, 5]
        #expect(alone.pieces == [0..<2, 2..<3, 3..<5, 5..<6])
    }

    /// The bytes that megatron-core 0.16.1's own writer makes of the same documents.
    @Test func indexedDatasetsAreMegatrons() throws {
        let writer = try IndexedDatasetWriter(folder.path("tokens"))
        try writer.append([[5, 6, 7], [8, 9]])
        try writer.append([[-1, 300_000]])
        try writer.close()
        #expect(try numbers(folder.path("tokens.bin")) == [5, 6, 7, 8, 9, -1, 300_000])
        var expected: [UInt8] = Array("MMIDIDX".utf8) + [0, 0]
        func append(_ number: Int, _ size: Int) {
            expected += (0..<size).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        }
        append(1, 8)
        append(4, 1)
        for number in [3, 3] { append(number, 8) }
        for length in [3, 2, 2] { append(length, 4) }
        for pointer in [0, 12, 20] { append(pointer, 8) }
        for document in [0, 2, 3] { append(document, 8) }
        #expect(try folder.bytes("tokens.idx") == expected)
        #expect(expected.count == 94)
    }

    /// axolotl's models shift labels by one, so that a line has one token more, and no label is lost.
    @Test func linesHaveAllLabels() throws {
        let run = try plan { $0.schedule = .constant }
        let path = try handOff(run, to: .axolotl, golden: 1)
        let lines = try text(path + "/sequences.jsonl").split(separator: "\n").map {
            try JSON(parsing: Array($0.utf8), file: "sequences.jsonl")
        }
        let rows = try PlannedSequences(path: run.path + "/stage-1.tokens", length: 24)
        #expect(lines.count == 6 && rows.count == 6)
        for (index, line) in lines.enumerated() {
            let row = try rows.row(index)
            func list(_ key: String) -> [Int] { line[key]?.array?.compactMap(\.int) ?? [] }
            #expect(list("input_ids").dropLast() == row.tokens.map(Int.init)[...])
            #expect(list("labels").dropFirst() == row.targets.map { $0 < 0 ? -100 : Int($0) }[...])
            #expect(list("labels").first == -100 && list("position_ids") == Array(0..<24) + [0])
            #expect(list("attention_mask") == Array(repeating: 1, count: 25) && line["length"]?.int == 25)
        }
    }

    @Test(arguments: [HandOffTarget.automodel, .torchtitan]) func sequencesAreTheRuns(target: HandOffTarget)
        throws
    {
        let run = try plan { $0.schedule = .constant }
        let path = try handOff(run, to: target, golden: 1)
        #expect(try numbers(path + "/sequences.bin") == numbers(run.path + "/stage-1.tokens"))
    }

    // MARK: Golden values

    /// The loss that the first step should have is the one that a run of our own has.
    @Test func firstLossIsTheRuns() throws {
        let run = try plan { $0.schedule = .constant }
        let loss = try #require(
            try HandOff(run.path, to: .axolotl).write(to: folder.path("axolotl"), threads: 1))
        var own: [Double] = []
        var job = JobRun(on: folder.path("grown"), to: folder.path("own"))
        job.job.ids = try fixture("groups/rows.safetensors")
        (job.job.steps, job.job.batch, job.job.lr, job.job.embeddingLr) = (3, 2, 3e-3, 6e-4)
        job.job.schedule = .constant
        (job.job.moments, job.job.gradients) = (.f32, .f32)
        try job { if case .step(let step) = $0 { own.append(step.loss) } }
        #expect(abs(loss - own[0]) < 1e-5)
        let golden = try Checkpoint.open(folder.path("axolotl/golden.safetensors")).tensors
        #expect(golden["losses"]?.shape == [2, 24] && golden["logits"]?.shape == [8, 251])
        #expect(golden["rows"]?.shape == [2, 3, 24] && golden["positions"]?.shape == [8])
    }

    // MARK: Configuration

    /// What is frozen and at what rate the rest is trained stands in the configuration, by the framework's own names.
    @Test func groupsAreTheFrameworks() throws {
        let run = try plan {
            $0.schedule = .constant
            $0.groups = ["layers=0-0: freeze", "names=*.mlp.*: rate=0.5"]
        }
        let yaml = try text(handOff(run, to: .automodel, golden: 1) + "/automodel.yaml")
        #expect(yaml.contains("    - glob: '*model.layers.0'\n"))
        #expect(
            yaml.contains(
                #"(?:^|\.)model\.layers\.(?:1|2|3)\.mlp\.(?:gate_proj"#)
                || yaml.contains(
                    #"model\.layers\.(?:1|2|3)\.mlp\.gate_proj\.weight"#)
        )
        #expect(yaml.contains("lr_mult: 0.5") && yaml.contains("lr_decay_style: constant"))
        #expect(yaml.hasPrefix("# Written by") && !yaml.contains("GIVEN UP"))
        let plan = try JSON.read(path: handOff(run, to: .torchtitan, golden: 1) + "/plan.json")
        let patterns = plan["groups"]?.array?.compactMap { $0["pattern"]?.string }.joined() ?? ""
        #expect(patterns.contains(#"layers\.(?:1|2|3)\.feed_forward\.w1\.weight"#))
        #expect(
            plan["frozen"]?[0]?.string?.contains(#"layers\.0\.attention\.qkv_linear\.wq\.weight"#) == true)
    }

    @Test func whatIsGivenUpStandsAtTheTop() throws {
        let run = try plan { $0.groups = ["old-output-rows: freeze"] }
        for (target, name) in [(HandOffTarget.axolotl, "axolotl.yaml"), (.torchtitan, "torchtitan_job.py")] {
            let text = try text(handOff(run, to: target, without: [.frozenRows], golden: 1) + "/" + name)
            #expect(text.prefix(400).contains("GIVEN UP") && text.prefix(500).contains("frozen-rows"))
        }
    }

    @Test func foldersAreNotReplacedByAccident() throws {
        let run = try plan { $0.schedule = .constant }
        _ = try handOff(run, to: .automodel, golden: 1)
        let error = try #require(throws: UserFacingError.self) { try handOff(run, to: .automodel, golden: 1) }
        #expect(error.message.hasSuffix("is there already; give another -o, or --force"))
    }

    /// YAML 1.1 takes 1e-05 for a text.
    @Test func numbersAreNumbers() {
        #expect(YAML.number(1e-5) == "1.0e-05" && YAML.number(0.003) == "0.003" && YAML.number(2) == "2.0")
        #expect(YAML.text("it's") == "'it''s'")
    }
}
