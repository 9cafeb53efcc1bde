import Formats
import Foundation
import Models
import Surgery
import TestSupport
import Testing

@testable import Trainer

/// What a job takes on devices, told from config.json alone.
@Suite("Plans for devices") struct ClusterPlanTests {
    private static let solar: JSONObject = [
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
        "intermediate_size": 14336, "num_hidden_layers": 48, "num_attention_heads": 32,
        "num_key_value_heads": 8, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "vocab_size": 32000,
        "tie_word_embeddings": false, "hidden_act": "silu", "rope_theta": 10000.0,
    ]

    private func plan(
        _ configuration: JSONObject = Self.solar, devices: Int = 8, memory: Int? = nil,
        _ change: (inout TrainingJob) -> Void = { _ in }
    ) throws -> ClusterPlan {
        let folder = try TemporaryFolder()
        try folder.write("config.json", JSON.object(configuration).serialized())
        var job = TrainingJob()
        (job.batch, job.length, job.recompute) = (64, 4096, .layer)
        change(&job)
        return try ClusterPlan(
            PretrainedModel.described(folder.path), job, devices: devices, memory: memory,
            settings: ClusterSettings(device: .cuda), path: folder.path)
    }

    @Test func weightsAndMomentsAreDealtOut() throws {
        let plan = try plan()
        #expect(plan.work.parameters == 10_731_524_096)
        // The embedding's rows and the norms are looked up, not multiplied.
        #expect(plan.work.active == 10_731_524_096 - 32_000 * 4096 - 97 * 4096)
        #expect(plan.needs.map(\.processes) == [1, 2, 4, 8])
        for need in plan.needs {
            #expect(need.weights == 4 * 10_731_524_096 / need.processes)
            #expect(need.moments == 2 * need.weights)
        }
        #expect(plan.needs.map(\.total) == plan.needs.map(\.total).sorted(by: >))
        #expect(plan.needs[0].total > 12 * 10_731_524_096 && plan.needs[3].host < plan.needs[0].host)
    }

    /// A teacher is dealt out as it is stored, and read forward alone.
    @Test(arguments: [("bfloat16", 2), ("float32", 4)]) func teachersAreCounted(type: String, width: Int)
        throws
    {
        let folder = try TemporaryFolder()
        var its = Self.solar
        (its["num_hidden_layers"], its["dtype"]) = (24, .string(type))
        try folder.write("config.json", JSON.object(its).serialized())
        let (alone, taught) = (try plan(), try plan { $0.teacher = folder.path })
        let small = try plan(its)
        for (with, without) in zip(taught.needs, alone.needs) {
            #expect(with.teacher == width * small.work.parameters / with.processes && without.teacher == 0)
            #expect((with.weights, with.moments) == (without.weights, without.moments))
            // Embedding and head are whole in bfloat16, too.
            #expect(with.total - without.total - with.teacher > 2 * 2 * 32_000 * 4096)
        }
        let forward = try plan(its) { $0.recompute = .none }.work.operations / 3
        #expect(taught.work.operations == alone.work.operations + forward)
        #expect(
            try plan { ($0.teacher, $0.teacherWeight) = (folder.path, 0) }.work.operations
                == alone.work.operations)
    }

    /// Behind each run of copied layers there is the teacher's hidden state in bfloat16, and the difference in float32.
    @Test func hiddenStatesAreCounted() throws {
        let folder = try TemporaryFolder()
        let grown = try GoldenModel(name: "llama").checkpoint().applying(DepthUpScaling(to: 4)).checkpoint
        try CheckpointWriter().write(grown, to: folder.path("grown"))
        let parent = try fixture("golden/llama")
        func plan(_ hidden: String?, isTaught: Bool = true) throws -> ClusterNeed {
            var job = TrainingJob()
            (job.batch, job.length, job.teacherHidden) = (64, 24, hidden)
            job.teacher = isTaught ? parent : nil
            let path = folder.path("grown")
            return try ClusterPlan(
                PretrainedModel.described(path), job, devices: 1, memory: nil,
                settings: ClusterSettings(device: .cuda), path: path
            ).needs[0]
        }
        let (with, without) = (try plan("0.1"), try plan(nil))
        let width = try PretrainedModel.described(folder.path("grown")).architecture.hiddenSize
        #expect(with.total - without.total == 2 * 64 * 24 * width * (2 + 4))
        #expect(with.activations - without.activations == with.total - without.total)
        let alone = try #require(throws: UserFacingError.self) { try plan("0.1", isTaught: false) }
        #expect(alone.message.contains("teacher-hidden is of the first stage's teacher"))
        let wrong = try #require(throws: UserFacingError.self) { try plan("much") }
        #expect(wrong.message.contains("teacher-hidden 'much' must be WEIGHT"))
        try FileSystem.remove(folder.path("grown/surgery.json"))
        let unknown = try #require(throws: UserFacingError.self) { try plan("0.1") }
        #expect(unknown.message.contains("has no copied layers"))
    }

    /// A stage that distils rows has a snippet to a sequence, remembers the layers of both readings alone, and moves embedding and head.
    @Test func distilledRowsAreCounted() throws {
        func rows(_ text: String, tied: Bool = false) throws -> ClusterPlan {
            var its = Self.solar
            its["tie_word_embeddings"] = .bool(tied)
            return try self.plan(its) { $0.stages = [TrainingStage(["distil-rows": .string(text)])] }
        }
        let plan = try rows("batch=4096 length=64 layer=12")
        #expect((plan.sequences, plan.length, plan.devicesInUse) == (4096, 64, 8) && plan.tokens == nil)
        let head = 32_000 * 4096
        #expect(plan.needs[0].moments == 8 * 2 * head)
        #expect(try rows("batch=4").devicesInUse == 4)
        let deeper = try rows("batch=4096 length=64 layer=13")
        #expect(deeper.needs[0].activations - plan.needs[0].activations == 2 * 4096 * 64 * 4096)
        let tied = try rows("batch=4096 length=64 layer=12", tied: true)
        #expect(tied.needs[0].logits == 0 && tied.needs[0].moments == 8 * head)
        // Recomputed layers: a quarter of them forward twice, recomputed and backward; the new reading goes on to the head.
        let layers = Double(plan.work.active - head) + 48 * 4096 * 64
        #expect(plan.work.operations == 8 * layers / 4 + 2 * layers + 4 * Double(head))
        #expect(tied.work.operations == 10 * layers / 4)
        let deep = try #require(throws: UserFacingError.self) { try rows("layer=49") }
        #expect(deep.message.contains("behind layer 49, and the model has 48"))
    }

    @Test func theFewestThatFitAreFound() throws {
        let plan = try plan(memory: 80_000_000_000) { $0.batch = 16 }
        let fitting = try #require(plan.fitting)
        #expect((3...4).contains(fitting))
        #expect(try self.plan(memory: 8_000_000_000) { $0.batch = 16 }.fitting == nil)
        // No more devices than sequences.
        #expect(try self.plan { $0.batch = 5 }.devicesInUse == 5)
    }

    /// Eight experts a layer, and as many rows of the router: more than eight processes share only the rest.
    @Test func expertsAreDealtOutWhole() throws {
        var mixtral = Self.solar
        (mixtral["model_type"], mixtral["architectures"]) = ("mixtral", ["MixtralForCausalLM"])
        (mixtral["num_local_experts"], mixtral["num_experts_per_tok"]) = (8, 2)
        let needs = try plan(mixtral, devices: 16).needs
        let eights = 48 * 8 * (3 * 4096 * 14336 + 4096)
        let rest = try plan(mixtral).work.parameters - eights
        #expect(needs.map(\.processes) == [1, 2, 4, 8, 16])
        #expect(needs.map(\.weights) == [1, 2, 4, 8, 16].map { 4 * (eights / min($0, 8) + rest / $0) })
    }

    /// 6 N and the products of causal attention; recomputed layers once more forward.
    @Test func workIsCounted() throws {
        let attention = 48.0 * 4096 * 4096
        let (layers, head) = (10_731_524_096.0 - 64_000 * 4096 - 97 * 4096, 32_000.0 * 4096)
        #expect(try plan { $0.recompute = .none }.work.operations == 6 * (layers + head + attention))
        #expect(try plan().work.operations == 8 * (layers + attention) + 6 * head)
        let timed = try plan { $0.steps = 10 }
        #expect(timed.tokens == 10 * 64 * 4096)
        #expect(timed.seconds(flops: 1e15) == Double(10 * 64 * 4096) * timed.work.operations / 8e15)
        #expect(try plan().seconds(flops: 1e15) == nil)
    }

    /// What Documentation/trainer-plan.md says of models of the recipes.
    @Test(arguments: [
        ("solar-10.7b-v1.0", 48, 5, "43.5 GB"), ("phi-3-medium-4k-instruct", 64, 8, "73.4 GB"),
        ("llama-2-7b", 32, 4, "31.7 GB"),
    ]) func documentedFigures(name: String, layers: Int, fewest: Int, total: String) throws {
        let file = URL(filePath: #filePath)
            .appending(path: "../../../../recipes/configurations/\(name)/config.json").standardized.path()
        var its = try #require(try JSON.read(path: file).object)
        its["num_hidden_layers"] = JSON(layers)
        let plan = try plan(its, memory: 80_000_000_000)
        #expect(plan.fitting == fewest)
        #expect(Units.bytes(plan.needs[3].total) == total)
    }

    @Test func whatIsFrozenHasNoMoments() throws {
        let all = try plan().needs[0]
        let some = try plan { $0.train = ["model.layers.2[0-9].*"] }.needs[0]
        #expect(some.weights == all.weights)
        #expect(some.moments < all.moments / 4 && some.total < all.total)
        let error = try #require(throws: UserFacingError.self) { try plan { $0.train = ["none.*"] } }
        #expect(error.message.hasPrefix("no tensor is called like 'none.*'"))
        let long = try #require(throws: UserFacingError.self) { try plan { $0.length = 8192 } }
        #expect(long.message.contains("--length 8192 is more than the 4096 tokens"))
        let second = TrainingStage(["length": 8192, "rope-theta": 1_000_000, "tokens": 1_000_000])
        let longer = try plan { $0.stages = [TrainingStage(["tokens": 1_000_000]), second] }
        #expect(longer.length == 8192)
        #expect(
            longer.needs[0].total == (try plan { ($0.length, $0.ropeTheta) = (8192, 1e6) }.needs[0].total))
        let several = try #require(throws: UserFacingError.self) {
            try plan { ($0.steps, $0.epochs) = (10, 3) }
        }
        #expect(several.message == "give one of --steps, --tokens and --epochs")
    }
}
