import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@testable import Trainer

@Suite("Groups of parameters") struct GroupTests {
    private static let grown: [any SurgeryOperation] = {
        var resize = VocabularyChange()
        resize.size = 251
        return [DepthUpScaling(to: 4), resize]
    }()

    /// The golden Llama with layers 0, 1, 1, 2 and 40 more rows, not written.
    private func model(_ operations: [any SurgeryOperation] = grown) throws -> Checkpoint {
        var model = try GoldenModel(name: "llama").checkpoint()
        for operation in operations { model = try model.applying(operation).checkpoint }
        return model
    }

    private func request(
        _ model: Checkpoint, _ groups: [String], in folder: TemporaryFolder, steps: Int = 50,
        moments: MomentPrecision = .f32, output: String = "healed"
    ) throws -> JobRun {
        var job = TrainingJob()
        let isResized = model["lm_head.weight"]?.shape.first == 251
        job.ids = try fixture(isResized ? "groups/rows.safetensors" : "golden/llama/golden.safetensors")
        (job.steps, job.batch, job.lr, job.embeddingLr) = (steps, 2, 3e-3, 3e-3)
        (job.schedule, job.warmup) = (.constant, 0)
        (job.moments, job.gradients, job.groups) = (moments, .f32, groups)
        try job.check()
        var run = JobRun(on: model.path, to: folder.path(output))
        (run.job, run.checkpoint, run.options.threads) = (job, model, 2)
        return run
    }

    @discardableResult
    private func losses(_ request: JobRun) throws -> [Double] {
        var losses: [Double] = []
        let run = try TrainingLoop(request.prepared()) {
            if case .step(let step) = $0 { losses.append(step.loss) }
        }
        _ = try run { false }
        return losses
    }

    /// The losses of a loop in PyTorch that gives every number its rate and decay.
    @Test func lossesArePyTorchs() throws {
        let folder = try TemporaryFolder()
        let json = try JSON.read(path: fixture("groups/losses.json"))
        let expected = json["losses"]?.array?.compactMap(\.double) ?? []
        let found = try losses(
            request(
                model(),
                [
                    "old-output-rows: freeze", "new-rows: rate=2, decay=0", "old-input-rows: rate=0.1",
                    "copied-layers: rate=0.5", "names=model.layers.0.*norm*: decay=0.3",
                ], in: folder))
        #expect(found.count == 50 && expected.count == 50)
        for (step, (one, other)) in zip(found, expected).enumerated() {
            #expect(abs(one - other) <= 1e-5 * other, "step \(step): \(one), \(other)")
        }
    }

    /// New rows move twice as fast as the layers where nothing else is said of them.
    @Test func newRowsAreFastByDefault() throws {
        let folder = try TemporaryFolder()
        func rules(
            _ groups: [String], rate: Double? = nil, on operations: [any SurgeryOperation] = Self.grown,
            freeze: [String] = []
        ) throws -> [GroupRule] {
            var run = try request(model(operations), groups, in: folder, steps: 1)
            (run.job.embeddingLr, run.job.freeze) = (rate, freeze)
            return try #require(run.prepared().stages.first).plan.groups
        }
        #expect(try rules([]) == [.newRows])
        #expect(try rules(["layers=0-1: freeze"]).map(\.name) == ["layers=0-1", "new-rows"])
        #expect(try rules(["new-input-rows: rate=1"]).map(\.name) == ["new-input-rows", "new-rows"])
        for groups in [["new-rows: rate=1"], ["embeddings: rate=1", "head: rate=1"], ["rest: rate=0.5"]] {
            #expect(try rules(groups).count == groups.count)
        }
        #expect(try rules([], rate: 3e-3).isEmpty)
        #expect(try rules([], on: [DepthUpScaling(to: 4)]).isEmpty)
        #expect(try rules([], freeze: ["model.embed_tokens.weight", "lm_head.weight"]).isEmpty)
    }

    /// A row that is not trained has the source's bytes after any number of steps, however moments are kept.
    @Test(arguments: MomentPrecision.allCases) func frozenRowsStay(moments: MomentPrecision) throws {
        let folder = try TemporaryFolder()
        let model = try model()
        try losses(request(model, ["old-rows: freeze"], in: folder, steps: 5, moments: moments))
        let healed = try Checkpoint.open(folder.path("healed"))
        for name in ["model.embed_tokens.weight", "lm_head.weight"] {
            let before = try #require(model[name]).rows(0..<211).floats().map(\.bitPattern)
            let after = try #require(healed[name]).rows(0..<211).floats().map(\.bitPattern)
            #expect(before == after, "\(name)")
            let new = try #require(model[name]).rows(211..<251).floats()
            let moved = try #require(healed[name]).rows(211..<251).floats()
            #expect(new != moved, "\(name)")
        }
    }

    /// What was copied, new and at the seam stays known when the model was written and healed since.
    @Test func groupsAreKnownAfterAHealing() throws {
        let folder = try TemporaryFolder()
        let made = try model([DepthUpScaling(to: 4), Expansion(to: 5, after: "3")])
        try CheckpointWriter().write(made, to: folder.path("grown"))
        let grown = try Checkpoint.open(folder.path("grown"))
        let groups = ["new-layers: rate=2", "copied-layers: rate=3", "seam: rate=4", "rest: freeze"]
        try losses(request(grown, groups, in: folder, steps: 1))
        let healed = try Checkpoint.open(folder.path("healed"))
        for model in [made, grown, healed] {
            let origins = try ModelOrigins(of: PretrainedModel(model))
            #expect(origins?.layers == [.original, .original, .duplicate, .original, .identity])
            #expect(origins?.seam.isSuperset(of: [1, 2]) == true)
        }
        let setup = try request(healed, groups, in: folder, steps: 1, output: "again").prepared()
        let table = setup.stages[0].groups.table(of: setup.model.layout)
        #expect(table.map(\.name) == ["new-layers", "copied-layers", "seam", "rest"])
        #expect(table.reduce(0) { $0 + $1.parameters } == setup.model.layout.parameterCount)
        #expect(table[0].parameters == table[1].parameters && table[3].isFrozen)
        // Frozen tensors take neither gradients nor moments.
        #expect(setup.trainedParameterCount < setup.model.layout.parameterCount)
        try losses(
            request(
                healed, ["rest: freeze", "norms: rate=1"].reversed(), in: folder, steps: 2, output: "norms"))
        let norms = try Checkpoint.open(folder.path("norms"))
        for (name, tensor) in healed.tensors {
            let isSame = try tensor.floats() == norms[name]?.floats()
            #expect(isSame == !name.contains("norm"), "\(name)")
        }
    }

    @Test(arguments: [
        ("new-rows", "it says nothing of them"), ("new-row: freeze", "did you mean new-rows?"),
        ("norms: rate=x", "rate is a share"), ("norms: decay=11", "decay is from 0 to 10"),
        ("norms: frozen", "there is no 'frozen'"),
        ("head: freeze, rate=2", "what is frozen has neither rate nor decay"),
        ("layers=3-1: rate=2", "layers are as in layers=8-15"),
        ("norms: rate=1, decay=0, rate=2", "rate is there twice"),
        ("head: decay=0, decay=0", "decay is there twice"),
    ])
    func aRuleThatIsWrong(text: String, message: String) throws {
        let error = #expect(throws: UserFacingError.self) { try GroupRule(text) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func whatSelectsNothingIsRefused() throws {
        let folder = try TemporaryFolder()
        func message(_ model: Checkpoint, _ groups: [String]) throws -> String {
            let error = #expect(throws: UserFacingError.self) {
                try request(model, groups, in: folder).prepared()
            }
            return error?.message ?? ""
        }
        let source = try GoldenModel(name: "llama").checkpoint()
        #expect(try message(source, ["new-rows: rate=2"]).contains("tells of a surgery"))
        let layers = source.configuration?.layerCount?.value.int ?? 0
        #expect(
            try message(source, ["layers=1-\(layers): freeze"]).contains(
                "has \(layers) layers, 0 to \(layers - 1)"))
        #expect(try message(source, ["experts: rate=2"]).contains("the group experts selects nothing"))
        #expect(try message(source, ["names=*: rate=2", "norms: decay=0"]).contains("the group norms"))
        #expect(
            try message(source, ["rest: freeze"]) == UserFacingError.nothingTrained(path: source.path).message
        )
        #expect(try message(model(), ["new-layers: rate=2"]).contains("the group new-layers selects nothing"))
    }

    /// A rate is for what is trained; what --freeze names is not.
    @Test func aRateOfWhatIsFrozenIsRefused() throws {
        let folder = try TemporaryFolder()
        func message(freezing patterns: [String], stages: [TrainingStage] = []) throws -> String {
            var run = try request(model(), ["norms: rate=2", "new-rows: rate=3"], in: folder)
            (run.job.freeze, run.job.stages) = (patterns, stages)
            do {
                _ = try run.prepared()
                return ""
            } catch { return "\(error)" }
        }
        #expect(try message(freezing: ["model.norm.weight"]) == "")
        let refused = try message(freezing: ["*norm*"])
        #expect(refused.contains("the group norms has a rate or a decay, and all that it selects"))
        #expect(refused.contains("model.layers.0.input_layernorm.weight and 8 more"), "\(refused)")
        let rows = try message(
            freezing: [], stages: [TrainingStage(), TrainingStage(["name": "body", "train": ["*norm*"]])])
        #expect(rows.hasPrefix("the stage 'body': the group new-rows has a rate"), "\(rows)")
    }

    /// Layers that operations tell of otherwise than the provenance of a healed model's tensors.
    @Test func layersOfAnotherOrderAreRefused() throws {
        let folder = try TemporaryFolder()
        try CheckpointWriter().write(model([DepthUpScaling(to: 4)]), to: folder.path("grown"))
        let path = folder.path("grown/surgery.json")
        let text = String(decoding: try folder.bytes("grown/surgery.json"), as: UTF8.self)
        let (told, kinds) = (
            #""origins":[0,1,1,2],"kinds":["original","original","duplicate","original"]"#,
            #""origins":[0,1,2,2],"kinds":["original","original","original","duplicate"]"#
        )
        #expect(text.contains(told))
        try folder.write("grown/surgery.json", text.replacingOccurrences(of: told, with: kinds))
        let error = try #require(
            #expect(throws: UserFacingError.self) {
                _ = try ModelOrigins(of: PretrainedModel(Checkpoint.open(folder.path("grown"))))
            })
        #expect(error.message.hasPrefix("\(path) contradicts itself: "), "\(error.message)")
        #expect(error.message.contains("layer 2 comes from layer 2 of the source"))
    }

    /// A surgery.json that was copied from a model with other layers or rows.
    @Test func aManifestOfAnotherModelIsRefused() throws {
        let folder = try TemporaryFolder()
        func write(_ operations: [any SurgeryOperation], to name: String) throws {
            try CheckpointWriter().write(model(operations), to: folder.path(name))
        }
        func resized(to size: Int) -> VocabularyChange {
            var change = VocabularyChange()
            change.size = size
            return change
        }
        func message(_ name: String, withThatOf other: String) throws -> String {
            let manifest = try Data(contentsOf: URL(filePath: folder.path("\(other)/surgery.json")))
            try manifest.write(to: URL(filePath: folder.path("\(name)/surgery.json")))
            let error = try #require(
                #expect(throws: UserFacingError.self) {
                    try request(Checkpoint.open(folder.path(name)), [], in: folder).prepared()
                })
            return error.message
        }
        try write([DepthUpScaling(to: 4)], to: "four")
        try write([DepthUpScaling(to: 5)], to: "five")
        #expect(
            try message("four", withThatOf: "five").hasPrefix(
                folder.path("four/surgery.json")
                    + " tells of another model: it has 5 layers, and the model 4"))
        try write([resized(to: 240)], to: "narrow")
        try write([resized(to: 251)], to: "wide")
        let rows = try message("narrow", withThatOf: "wide")
        #expect(rows.contains("it has 251 rows of ") && rows.contains(", and the model 240"), "\(rows)")
    }
}
