import Formats
import Models
import Foundation
import OrderedCollections
import Testing

@Suite("surgery with KerasHub presets")
struct PresetTests {
    private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().path
    private static let preset = tests + "/FormatsTests/Fixtures/HDF5/presets/llama-bf16"

    @Test func inspectTellsLayers() throws {
        let folder = try ModelFolder()
        let run = try CommandRun(["inspect", Self.preset], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(run.messages.contains("Llama (KerasHub)\n"))
        #expect(
            run.messages.contains(
                "4 (layers/llama_transformer_decoder to layers/llama_transformer_decoder_3)"))
    }

    @Test func deepenedConvertedAndProven() throws {
        let folder = try ModelFolder()
        let deep = try CommandRun(["dus", Self.preset, "--to", "6", "-o", "deep"], in: folder.url)
        #expect(deep.code == 0, "\(deep.messages)")
        #expect(deep.messages.contains("config.num_layers: 4 → 6"))
        #expect(try Checkpoint.open(folder.url.path + "/deep").tensors.count == 57)
        let convert = try CommandRun(
            ["convert", "deep", "--to", "safetensors", "-o", "hf", "--json"], in: folder.url)
        #expect(convert.code == 0, "\(convert.messages)")
        #expect(try convert.json()["to"]?.string == "safetensors")
        #expect(try convert.json()["dtype"]?.isNull == true)
        for name in ["deep", "hf"] {
            #expect(try CommandRun(["verify", name], in: folder.url).code == 0)
        }
        let model = try Checkpoint.open(folder.url.path + "/hf")
        #expect(model.configuration?["num_hidden_layers"]?.int == 6)
        #expect(model.configuration?.elementType == .bf16)
    }

    /// In Hugging Face's terms the manifest of a deepened preset makes the deepened model's tensors.
    @Test func theManifestFollowsIntoOtherTerms() throws {
        let folder = try ModelFolder()
        let steps = [
            "run", Self.preset, "--step", "dus --to 6", "--step", "resize-vocab --size 40", "-o", "deep",
        ]
        let deep = try CommandRun(steps, in: folder.url)
        #expect(deep.code == 0, "\(deep.messages)")
        let path = folder.url.path + "/deep"
        let model = try Checkpoint.openModel(path)
        let manifest = try #require(model.manifest)
        #expect(Array(manifest.provenance.keys) == Array(model.tensors.keys))
        #expect(manifest.operations.map(\.name) == ["dus", "resize-vocab"])
        guard case .made(.joined, _)? = manifest.provenance["lm_head.weight"]?.node else {
            Issue.record("the head's rows are \(String(describing: manifest.provenance["lm_head.weight"]))")
            return
        }
        let sources = try ProvenanceResolver(manifest, of: path)
        for (name, tensor) in model.tensors {
            let provenance = try #require(manifest.provenance[name])
            let made = try #require(try sources.expression(of: provenance, tensor: name))
            #expect(try made.firstDifference(from: tensor) == nil, "\(name)")
        }
    }

    /// A preset keeps Hugging Face's tokenizer, also one that KerasHub has no form for: one that divides text twice.
    @Test(arguments: [true, false]) func aTokenizerComesThroughAPreset(hasKerasForm: Bool) throws {
        let folder = try ModelFolder()
        let examples = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Examples")
            .standardized.path()
        let base = folder.url.path + "/example"
        try FileManager.default.copyItem(atPath: examples + "/base", toPath: base)
        if !hasKerasForm {
            let path = base + "/tokenizer.json"
            var json = try JSON(parsing: Array(Data(contentsOf: URL(filePath: path))), file: path)
            let digits: JSON = ["type": "Digits", "individual_digits": true]
            json["pre_tokenizer"] = [
                "type": "Sequence", "pretokenizers": [digits, try #require(json["pre_tokenizer"])],
            ]
            try Data(json.serialized(indent: 2)).write(to: URL(filePath: path))
        }
        func surgery(_ arguments: String...) throws {
            let run = try CommandRun(arguments, in: folder.url)
            #expect(run.code == 0, "\(run.messages)")
        }
        func bytes(_ path: String) throws -> Data { try Data(contentsOf: folder.url.appending(path: path)) }
        try surgery("convert", base, "--to", "hdf5", "-o", "preset")
        let assets = folder.url.path + "/preset/assets/tokenizer"
        #expect(FileManager.default.fileExists(atPath: assets) == hasKerasForm)
        try surgery("convert", "preset", "--to", "safetensors", "-o", "back")
        for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
            #expect(
                try bytes("back/\(name)") == Data(contentsOf: URL(filePath: "\(base)/\(name)")), "\(name)")
        }
        try Data("가나다\n라마\n".utf8).write(to: folder.url.appending(path: "words.txt"))
        let words = "words.txt"
        try surgery("resize-vocab", base, "--tokens", words, "-o", "grown")
        try surgery("resize-vocab", "preset", "--tokens", words, "-o", "grown-preset")
        try surgery("convert", "grown-preset", "--to", "safetensors", "-o", "grown-back")
        for name in ["config.json", "tokenizer.json"] {
            #expect(try bytes("grown-back/\(name)") == bytes("grown/\(name)"), "\(name)")
        }
        var results: [JSON] = []
        for model in ["grown", "grown-preset"] {
            let run = try CommandRun(
                ["eval", model, "--data", "w=\(words)", "--json"], of: "trainer", in: folder.url)
            #expect(run.code == 0, "\(run.messages)")
            results.append(try #require(try run.json()["sets"]))
        }
        #expect(results[0] == results[1] && results[0].object?.count == 1)
    }

    @Test func trainerTakesAPreset() throws {
        let folder = try ModelFolder()
        let golden = Self.preset + "/golden.safetensors"
        let eval = try CommandRun(
            ["eval", Self.preset, "--ids", golden, "--json"], of: "trainer", in: folder.url)
        #expect(eval.code == 0, "\(eval.messages)")
        let heal = [
            "heal", Self.preset, "--ids", golden, "--steps", "3", "--lr", "1e-2", "-o", "healed",
        ]
        let plan = try CommandRun(heal + ["--dry-run", "--json"], of: "trainer", in: folder.url)
        #expect(plan.code == 0, "\(plan.messages)")
        #expect(!FileManager.default.fileExists(atPath: folder.url.path + "/healed"))
        let healed = try CommandRun(heal, of: "trainer", in: folder.url)
        #expect(healed.code == 0, "\(healed.messages)")
        let after = try CommandRun(
            ["eval", "healed", "--ids", golden, "--json"], of: "trainer", in: folder.url)
        let losses = try [eval, after].map { try #require(try $0.json()["loss"]?.double) }
        #expect(losses[1] < losses[0])
        let bench = try CommandRun(
            ["bench", "healed", "--batch", "1", "--length", "8", "--steps", "1", "--json"], of: "trainer",
            in: folder.url)
        #expect(bench.code == 0, "\(bench.messages)")
    }

    /// A preset of a class of KerasHub's with a tokenizer of the fixtures, and random weights.
    private func preset(_ name: String, tokenizer: String, in folder: ModelFolder) throws -> String {
        let source = Self.tests + "/ModelsTests/Fixtures/KerasTokenizers/" + tokenizer
        let rows = try TokenizerFiles.open(source).tokenizer().largestID + 1
        let blank = folder.url.path + "/blank"
        let manager = FileManager.default
        try manager.createDirectory(atPath: blank + "/assets", withIntermediateDirectories: true)
        for (from, to) in [
            (Self.preset + "/config.json", "config.json"), (Self.preset + "/metadata.json", "metadata.json"),
            (source + "/tokenizer.json", "tokenizer.json"),
            (source + "/assets/tokenizer", "assets/tokenizer"),
        ] { try manager.copyItem(atPath: from, toPath: blank + "/" + to) }
        let text = try String(contentsOfFile: blank + "/config.json", encoding: .utf8)
            .replacing("\"vocabulary_size\": 29", with: "\"vocabulary_size\": \(rows)")
            .replacing("LlamaBackbone", with: name)
        try text.write(toFile: blank + "/config.json", atomically: true, encoding: .utf8)
        let run = try CommandRun(
            [
                "heal", "blank", "--from-scratch", "--data", Self.corpus("korean.val.jsonl"), "--steps", "1",
                "--length", "16", "-o", "base",
            ], of: "trainer", in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        return "base"
    }

    private static func corpus(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "../../Examples/data/\(name)"
        ).standardizedFileURL.path
    }

    /// The tokenizer is learned on, extended and written back, and the trainer finds it.
    @Test(arguments: [("LlamaBackbone", "llama"), ("Llama3Backbone", "llama3")])
    func learnsTokens(backbone: String, tokenizer: String) throws {
        let folder = try ModelFolder()
        try FileManager.default.removeItem(at: folder.model)
        let base = try preset(backbone, tokenizer: tokenizer, in: folder)
        let korean = Self.corpus("korean.val.jsonl")
        let grown = try CommandRun(
            ["resize-vocab", base, "--learn", "30", "--corpus", korean, "-o", "grown", "--json"],
            in: folder.url)
        #expect(grown.code == 0, "\(grown.messages)")
        #expect(try CommandRun(["verify", "grown"], in: folder.url).code == 0)
        let (before, after) = (
            try Checkpoint.open(folder.url.path + "/base"), try Checkpoint.open(folder.url.path + "/grown")
        )
        let rows = try #require(before.configuration?["config"]?["vocabulary_size"]?.int)
        #expect(after.configuration?["config"]?["vocabulary_size"]?.int == rows + 30)
        #expect(Set(after.auxiliaryFiles.map(\.name)) == Set(before.auxiliaryFiles.map(\.name)))
        let tokens = try [before, after].map { try $0.tokenizerFiles().tokenizer() }
        #expect(tokens[1].largestID == tokens[0].largestID + 30)
        let counts = try ["base", "grown", "hf"].map { name in
            if name == "hf" {
                let converted = try CommandRun(
                    ["convert", "grown", "--to", "safetensors", "-o", "hf"], in: folder.url)
                #expect(converted.code == 0, "\(converted.messages)")
            }
            let run = try CommandRun(["tokenize", name, korean, "--json"], of: "trainer", in: folder.url)
            #expect(run.code == 0, "\(run.messages)")
            return try #require(try run.json()["tokens"]?.int)
        }
        #expect(counts[1] < counts[0] && counts[1] == counts[2])
        let eval = try CommandRun(
            ["eval", "grown", "--data", "ko=\(korean)", "--length", "16"], of: "trainer", in: folder.url)
        #expect(eval.code == 0, "\(eval.messages)")
    }

    @Test func aTokenizerThatItsClassCannotHoldIsRefused() throws {
        let folder = try ModelFolder()
        try FileManager.default.removeItem(at: folder.model)
        let base = try preset("LlamaBackbone", tokenizer: "llama", in: folder)
        let other = Self.tests + "/ModelsTests/Fixtures/KerasTokenizers/gpt2"
        let run = try CommandRun(
            ["resize-vocab", base, "--tokenizer", other, "-o", "grown"], in: folder.url)
        #expect(run.code == 2)
        #expect(run.messages.contains("a LlamaTokenizer needs the token <s>"), "\(run.messages)")
    }
}
