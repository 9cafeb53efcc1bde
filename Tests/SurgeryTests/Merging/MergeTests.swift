import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@Suite("Models merged")
struct MergeTests {
    private var fixtures: String { (Bundle.module.resourcePath ?? "") + "/Fixtures/merging/" }

    private func merged(_ name: String, seed: UInt64? = nil) throws -> Outcome {
        let file = fixtures + name + ".yml"
        let base = try Checkpoint.openModel(MergeConfiguration.read(path: file).basePath)
        return try base.applying(Merge(config: file, seed: seed))
    }

    /// What mergekit 0.1.5 makes of the same file; TIES among numbers that differ.
    @Test(arguments: ["passthrough", "linear", "slerp", "task_arithmetic", "ties"])
    func whatMergekitMakes(name: String) throws {
        let outcome = try merged(name)
        let expected = try Checkpoint.open(fixtures + name + ".safetensors")
        #expect(expected.tensors.count > 20)
        #expect(Set(outcome.checkpoint.names) == Set(expected.names))
        for (name, tensor) in expected.tensors {
            let found = try #require(outcome.checkpoint[name])
            #expect(found.type == tensor.type && found.shape == tensor.shape)
            let pairs = zip(try found.floats(), try tensor.floats())
            #expect(pairs.allSatisfy { abs($0 - $1) < 2e-6 }, "\(name)")
        }
        let layers = name == "passthrough" ? 4 : 3
        #expect(outcome.checkpoint.configuration?.layerCount?.value.int == layers)
        #expect(outcome.facts["method"]?.string == name)
        #expect(outcome.facts["merge_configuration"]?["merge_method"]?.string == name)
    }

    @Test func whatIsWrittenIsProvenAndCannotBeUndone() throws {
        let folder = try TemporaryFolder()
        let outcome = try merged("ties")
        try CheckpointWriter().write(outcome.checkpoint, to: folder.path("out"))
        let result = try Checkpoint.openModel(folder.path("out"))
        let proof = try verify(result)
        #expect(proof.isComplete && proof.derived == result.tensors.count && proof.sources.count == 3)
        #expect(result.manifest?.lineage["lm_head.weight"]?.kind == .changed)
        let undo = try result.undone()
        #expect(undo.losses.contains { $0.reason == "others were added to it" })
        #expect(throws: UserFacingError.self) {
            try CheckpointWriter().check(CheckpointWriter().plan(outcome.checkpoint, to: fixtures + "a/out"))
        }
    }

    @Test func anotherModelThanTheBase() throws {
        let other = try Checkpoint.openModel(fixtures + "a")
        #expect(throws: UserFacingError.self) { try other.applying(Merge(config: fixtures + "ties.yml")) }
    }

    /// The line, and a part of what is said.
    @Test(arguments: [
        (
            "merge_method: sce\nmodels: [{model: base}]",
            "line 1: the merge method sce is not carried out here"
        ),
        ("merge_method: slirp\nmodels: [{model: base}]", "did you mean slerp?"),
        (
            "merge_method: linear\nmodel: [{model: base}]",
            "line 2: there is no key 'model'; did you mean models?"
        ),
        ("merge_method: linear\nmodels: [{model: base, weight: 1}]", "there is no key of a source 'weight'"),
        (
            "merge_method: linear\nmodels:\n- model: base\n  parameters: {wieght: 1}",
            "line 4: there is no parameter of a model in linear"
        ),
        (
            "merge_method: linear\nmodels:\n- model: base\n- model: base",
            "line 4: base stands twice in one slice"
        ),
        ("merge_method: linear\nmodels:\n- model: base", "line 3: weight of base is not given"),
        ("merge_method: linear\nmerge_method: ties\nmodels: [{model: base}]", "stands twice"),
        ("merge_method: linear\nmodels:\n\t- model: base", "not with tabs"),
        (
            "merge_method: linear\nmodels: [{model: base}]\nmodules: {}",
            "line 3: modules is not carried out here"
        ),
        ("merge_method: ties\nmodels: [{model: a}]", "line 1: ties needs base_model"),
        ("merge_method: passthrough\nmodels: [{model: a}, {model: b}]", "takes a layer of one model"),
        (
            "merge_method: slerp\nbase_model: base\nparameters: {t: 0.5}\nmodels: [{model: base}, {model: a}, {model: b}]",
            "and here are 3"
        ),
        (
            "merge_method: passthrough\nslices:\n- sources:\n  - model: base\n    layer_range: [1, 4]",
            "line 4: layers 1 to 3 are asked of base, which has layers 0 to 2"
        ),
        (
            "merge_method: passthrough\nslices:\n- sources:\n  - {model: base, layer_range: [2, 2]}",
            "line 4: layer_range is "
        ),
        (
            "merge_method: linear\nslices:\n- sources:\n  - {model: base, layer_range: [0, 2]}\n  - {model: a, layer_range: [0, 1]}",
            "line 5: 1 layers stand beside 2 of base"
        ),
        (
            "merge_method: passthrough\nparameters:\n  scale:\n  - {filter: o_porj, value: 2}\nmodels: [{model: base}]",
            "line 4: the filter 'o_porj' is in no name"
        ),
        ("merge_method: passthrough\ndtype: float8\nmodels: [{model: base}]", "there is no dtype 'float8'"),
        ("merge_method: passthrough\nmodels: [{model: base+lora}]", "is a model and an adapter"),
        (
            "merge_method: passthrough\nmodels: [{model: base}]\nchat_template: chatml",
            "line 3: 'chatml' is a template that mergekit brings along"
        ),
        (
            "merge_method: slerp\nbase_model: base\nparameters: {t: true}\nmodels: [{model: a}]",
            "t is true, and must be a number"
        ),
    ])
    func whatIsRefused(text: String, reason: String) throws {
        let folder = try TemporaryFolder()
        for name in ["base", "a", "b"] {
            try FileManager.default.copyItem(atPath: fixtures + name, toPath: folder.path(name))
        }
        let file = folder.path("merge.yml")
        try folder.write("merge.yml", text)
        let error = #expect(throws: UserFacingError.self) {
            let base = try Checkpoint.openModel(MergeConfiguration.read(path: file).basePath)
            _ = try base.applying(Merge(config: file))
        }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    }

    /// As the first of several operations, and nowhere else, on the base.
    @Test func aRecipesFirstStep() throws {
        let operations: [any SurgeryOperation] = [
            Merge(config: fixtures + "ties.yml", seed: 3), LayerArrangement(plan: "0-2,1-2"),
        ]
        var model = try Checkpoint.openModel(fixtures + "base")
        for operation in operations { model = try model.applying(operation).checkpoint }
        #expect(model.operations.map(\.name) == ["merge", "layers"])
        #expect(model.configuration?.layerCount?.value.int == 5)
        #expect(throws: UserFacingError.self) { try model.applying(operations[0]) }
    }

    /// Of two models with the same shapes one may compute something else.
    @Test func modelsOfDifferentKinds() throws {
        let folder = try TemporaryFolder()
        for name in ["base", "a"] {
            try FileManager.default.copyItem(atPath: fixtures + name, toPath: folder.path(name))
        }
        let file = folder.path("merge.yml")
        try Data("merge_method: linear\nparameters: {weight: 1}\nmodels: [{model: base}, {model: a}]".utf8)
            .write(to: URL(filePath: file))
        let text = try String(contentsOfFile: folder.path("a/config.json"), encoding: .utf8)
        for (old, new, key) in [
            ("\"llama\"", "\"mistral\"", "model_type"), ("\"silu\"", "\"gelu\"", "hidden_act"),
        ] {
            try Data(text.replacingOccurrences(of: old, with: new).utf8)
                .write(to: URL(filePath: folder.path("a/config.json")))
            let error = #expect(throws: UserFacingError.self) {
                _ = try Checkpoint.openModel(folder.path("base")).applying(Merge(config: file))
            }
            #expect(error?.message.contains(key) == true)
        }
    }
}
