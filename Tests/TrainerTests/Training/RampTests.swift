import Formats
import Foundation
import Models
import Surgery
import TestSupport
import Testing

@testable import Trainer

@Suite("Copied layers that fade in") struct RampTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static let models = ["llama", "gpt-neox", "gemma2", "mixtral", "granite"]

    private func expected(_ name: String) throws -> (json: JSON, model: JSON) {
        let json = try JSON.read(path: fixture("ramp/losses.json"))
        return (json, try #require(json["models"]?[name]))
    }

    private func grown(_ name: String) throws -> Checkpoint {
        let plan = try #require(expected(name).model["plan"]?.string)
        return try GoldenModel(name: name).checkpoint().applying(LayerArrangement(plan: plan)).checkpoint
    }

    /// A run in which the copy fades in over the first 5 of 12 steps.
    private func run(_ name: String, _ output: String = "out", resume: Bool = false) throws -> JobRun {
        let json = try expected(name).json
        let model = try grown(name)
        var run = JobRun(on: model.path, to: folder.path(output))
        run.checkpoint = model
        run.job.ids = try fixture("ramp/rows.safetensors")
        run.job.steps = try #require(json["steps"]?.int)
        run.job.lr = try #require(json["rate"]?.double)
        (run.job.batch, run.job.embeddingLr, run.job.seam) = (2, run.job.lr, .ramp)
        run.job.rampShare = try #require(json["share"]?.double)
        (run.job.schedule, run.job.warmup, run.job.checkpointEvery) = (.constant, 0, 0)
        (run.job.moments, run.job.gradients) = (.f32, .f32)
        (run.options.threads, run.options.resume) = (2, resume)
        try run.job.check()
        return run
    }

    /// PyTorch's losses, where hooks multiply what the copy adds: layers one after the other, side by side, with norms behind
    /// their parts, of experts, and with a factor of their own.
    @Test(arguments: models) func lossesArePyTorchs(name: String) throws {
        let losses = try expected(name).model["losses"]?.array?.compactMap(\.double) ?? []
        var reports: [StepReport] = []
        try run(name)() { if case .step(let report) = $0 { reports.append(report) } }
        #expect(reports.count == 12 && losses.count == 12)
        for (report, loss) in zip(reports, losses) {
            #expect(abs(report.loss - loss) <= 1e-5 * loss, "step \(report.step): \(report.loss), \(loss)")
        }
    }

    /// Before the first step the grown model computes what its source does, to the bit.
    @Test(arguments: models) func beginsAsItsSource(name: String) throws {
        let source = try PretrainedModel(GoldenModel(name: name).checkpoint())
        let prepared = try run(name).prepared()
        let ids = try #require(prepared.stages.first)
        var data = ids.data
        let batch = try data.next(2)
        let engine = try DefaultEngine(threads: 2)
        let state = try TrainingState(
            ids.plan, ids.model.architecture, layout: ids.layout, groups: ids.groups, data: data, on: engine)
        try ids.model.load(into: state.model)
        let plan = ActivationPlan(
            source.architecture, layout: source.layout, batch: 2, sequenceLength: 24,
            training: ActivationPlan.Training(recomputation: .norms))
        let original = try Transformer(
            source.architecture, layout: source.layout, plan: plan, on: engine)
        try source.load(into: original)
        #expect(
            state.model.losses(of: batch).map(\.bitPattern) == original.losses(of: batch).map(\.bitPattern))
    }

    /// A run that is stopped after each step ends with the same bytes, and while layers fade in it is no model yet.
    @Test func stoppedAndExported() throws {
        try run("llama", "straight")()
        var refused = 0
        while true {
            final class Counter { var value = 0 }
            let taken = Counter()
            let loop = try TrainingLoop(run("llama", "pieces", resume: true).prepared()) {
                if case .step = $0 { taken.value += 1 }
            }
            do {
                _ = try loop { taken.value >= 1 }
                break
            } catch let error as UserFacingError where error.isInterruption {}
            let name = try #require(CheckpointStore.checkpoints(in: folder.path("pieces.run")).last)
            let path = folder.path("pieces.run/\(name)")
            do {
                try CheckpointStore.Kept.read(path, or: UserFacingError.notACheckpoint).checkIsModel()
            } catch {
                #expect(error.message.contains("from step 5 on"))
                refused += 1
            }
        }
        #expect(refused == 4)
        func bytes(_ name: String) throws -> Data {
            try Data(contentsOf: URL(filePath: folder.path("\(name)/model.safetensors")))
        }
        #expect(try bytes("straight") == bytes("pieces"))
    }

    /// Copies that a healing has trained don't fade in again; those that it left alone do.
    @Test func trainedCopiesStay() throws {
        try run("llama", "healed")()
        var frozen = try run("llama", "frozen")
        (frozen.job.seam, frozen.job.rampShare) = (.plain, TrainingJob().rampShare)
        frozen.job.freeze = ["model.layers.*"]
        try frozen()
        func again(_ name: String) throws -> SeamRamp? {
            var run = try run("llama", "again")
            run.checkpoint = try Checkpoint.open(folder.path(name))
            return try run.prepared().stages[0].plan.ramp
        }
        let copies = try #require(try run("llama").prepared().stages[0].plan.ramp?.layers)
        #expect(try again("frozen")?.layers == copies)
        let error = try #require(#expect(throws: UserFacingError.self) { try again("healed") })
        #expect(error.message.contains("the copied layers of \(folder.path("healed")) were trained"))
        // A further surgery makes copies of its own.
        let wider = try Checkpoint.open(folder.path("healed")).applying(DepthUpScaling(to: 6)).checkpoint
        try CheckpointWriter().write(wider, to: folder.path("wider"))
        #expect(try again("wider") != nil)
    }

    /// What is no start from a surgery, or has no copies, is refused by name.
    @Test func refused() throws {
        var run = try run("llama")
        run.job.from = "other.run/step-000001"
        #expect { try run.job.check(prefix: "--") } throws: {
            "\($0)".contains("--seam ramp begins with the model as the surgery left it; leave out --from")
        }
        run.job.from = nil
        run.job.rampShare = 0
        #expect { try run.job.check(prefix: "--") } throws: {
            "\($0)".contains("--ramp-share must be above 0")
        }
        (run.job.rampShare, run.job.seam) = (0.5, .plain)
        #expect { try run.job.check(prefix: "--") } throws: {
            "\($0)".contains("--ramp-share is of --seam ramp")
        }
        run.job.seam = .ramp
        run.checkpoint = try GoldenModel(name: "llama").checkpoint()
        #expect { try run.prepared() } throws: { "\($0)".contains("has no copied layers") }
    }
}
