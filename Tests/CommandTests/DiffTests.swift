import Formats
import Foundation
import Testing

@Suite("surgery diff")
struct DiffTests {
    private static let examples = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Examples")

    private func diff(_ second: String, in folder: ModelFolder) throws -> JSON {
        let run = try CommandRun(["diff", "base", second, "--json"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        return try run.json()
    }

    private func make(_ arguments: [String], in folder: ModelFolder) throws {
        let run = try CommandRun(arguments + ["-o", "out"], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
    }

    @Test func nothingDiffers() throws {
        let folder = try ModelFolder()
        let json = try diff("base", in: folder)
        #expect(json["same"]?.bool == true && json["tensors"]?["same"]?.array?.count == 11)
        let run = try CommandRun(["diff", "base", "base"], in: folder.url)
        #expect(run.messages.contains("nothing differs"))
    }

    /// Layers that are stacked are found where they come from.
    @Test func layersMove() throws {
        let folder = try ModelFolder()
        try make(["layers", "base", "--plan", "0,2,1,1:zero"], in: folder)
        let json = try diff("out", in: folder)
        #expect(json["same"]?.bool == false)
        let layers = ["mlp.down_proj", "self_attn.o_proj"]
        var moved: [JSON] = []
        for (to, from) in [(1, 2), (2, 1)] {
            for module in layers {
                moved.append([
                    "tensor": .string("model.layers.\(to).\(module).weight"),
                    "from": .string("model.layers.\(from).\(module).weight"),
                ])
            }
        }
        #expect(json["tensors"]?["moved"]?.array == moved)
        let changed = try #require(json["tensors"]?["changed"]?.array)
        #expect(changed.map { $0["tensor"]?.string } == layers.map { "model.layers.3.\($0).weight" })
        // Zeros are as far away as the numbers are large.
        #expect(changed[0]["norms"]?["after"]?.double == 0)
        #expect(changed[0]["norms"]?["difference"] == changed[0]["norms"]?["before"])
        #expect(json["tensors"]?["gone"] == [] && json["tensors"]?["new"] == [])
    }

    @Test func layersComeAndGo() throws {
        let folder = try ModelFolder()
        try make(["prune", "base", "--to", "3", "--drop", "3"], in: folder)
        let json = try diff("out", in: folder)
        #expect(
            json["tensors"]?["gone"] == [
                "model.layers.3.mlp.down_proj.weight", "model.layers.3.self_attn.o_proj.weight",
            ])
        #expect(
            json["configuration"] == [["key": "num_hidden_layers", "before": 4, "after": 3]])
    }

    /// Norms are those of the numbers: half of them is half as far away as they are long.
    @Test func normsAreEuclidean() throws {
        let folder = try ModelFolder()
        try make(["layers", "base", "--plan", "0-2,3:scale=0.5"], in: folder)
        let norms = try #require(try diff("out", in: folder)["tensors"]?["changed"]?[0]?["norms"])
        let floats = (0..<16).map { $0 == 0 ? 0.5 : Double(Float(9) + Float($0) / 1024) }
        let norm = floats.reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(abs((norms["before"]?.double ?? 0) - norm) < 1e-5, "\(norms)")
        #expect(abs((norms["difference"]?.double ?? 0) - norm / 2) < 1e-5)
        #expect(norms["rows"]?.int == 4)
    }

    @Test func rowsAndTokensAreCompared() throws {
        let folder = try ModelFolder()
        try FileManager.default.removeItem(at: folder.model)
        try FileManager.default.copyItem(at: Self.examples.appending(path: "base"), to: folder.model)
        try Data("<|tool|>\n".utf8).write(to: folder.url.appending(path: "tokens.txt"))
        try make(["resize-vocab", "base", "--tokens", "tokens.txt", "--tokens-as", "special"], in: folder)
        let json = try diff("out", in: folder)
        #expect(json["tokens"]?["new"] == ["<|tool|>"])
        #expect(json["tokens"]?["gone"] == [] && json["tokens"]?["moved"] == 0)
        let changed = try #require(json["tensors"]?["changed"]?.array)
        #expect(changed.count == 2)
        #expect(
            changed.allSatisfy { $0["norms"]?["difference"]?.double == 0 && $0["norms"]?["rows"] == 1024 })
        #expect(json["files"]?["changed"]?.array?.contains("tokenizer.json") == true)
        #expect(json["configuration"]?.array?.contains { $0["key"] == "vocab_size" } == true)
    }
}
