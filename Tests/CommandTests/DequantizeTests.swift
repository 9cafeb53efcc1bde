import Formats
import Foundation
import OrderedCollections
import TestSupport
import Testing

/// Quantised models with what transformers makes of them: Tests/TrainerTests/Fixtures/quantized.
@Suite("surgery convert --dequantize")
struct DequantizeTests {
    private let temporary: TemporaryFolder
    private var folder: URL { temporary.url }

    private static let fixtures = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../TrainerTests/Fixtures/quantized").standardized

    init() throws { temporary = try TemporaryFolder() }

    private static func path(_ name: String) -> String { fixtures.appending(path: name).path() }

    private func run(_ arguments: String..., of command: String = "surgery") throws -> CommandRun {
        let run = try CommandRun(arguments, of: command, in: folder)
        #expect(run.code == 0, "\(arguments): \(run.messages)")
        return run
    }

    private func bytes(_ tensor: TensorExpression) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
        var span = bytes.mutableSpan
        var room = unsafe span.mutableBytes
        try tensor.read(0..<tensor.byteCount, into: &room)
        return bytes
    }

    /// A tensor as transformers has it in memory: it joins the experts, gates above what they gate.
    private func joined(_ name: String, in model: Checkpoint) throws -> TensorExpression {
        if let tensor = model[name] { return tensor }
        let isDown = name.hasSuffix(".down_proj")
        let stem = name.replacing("gate_up_proj", with: "").replacing("down_proj", with: "")
        let parts = isDown ? ["down_proj"] : ["gate_proj", "up_proj"]
        let experts = try (0..<4).map { expert in
            try parts.map { try #require(model["\(stem)\(expert).\($0).weight"]) }
        }
        let all = try TensorExpression.joined(experts.flatMap(\.self))
        return try all.reshaped(to: [4, all.shape[0] / 4, all.shape[1]])
    }

    @Test(arguments: ["compressed-channels", "fp8-blocks", "fp8-experts", "fp8-whole", "gpt-oss-mxfp4"])
    func numbersAndLossAreThoseOfTransformers(name: String) throws {
        let source = Self.path(name)
        let made = try run("convert", source, "-o", "made", "--dequantize", "--json").json()
        let result = try Checkpoint.open(folder.appending(path: "made").path())
        let golden = try Checkpoint.open(source + "/golden.safetensors")
        let dequantized = try Checkpoint.open(source + "/dequantized.safetensors").tensors
        for (key, expected) in dequantized {
            let tensor = try joined(key, in: result)
            #expect(tensor.type == .bf16 && tensor.shape == expected.shape)
            #expect(try bytes(tensor) == bytes(expected), "\(key)")
        }
        #expect(dequantized.count >= 4 && (made["dequantized"]?.array?.count ?? 0) >= dequantized.count)
        #expect(result.configuration?["quantization_config"] == nil)
        #expect(result.tensors.values.allSatisfy { $0.type == .bf16 })
        // What transformers computes of the numbers, and what the result is good for.
        let ids = source + "/golden.safetensors"
        let loss = try run("eval", "made", "--ids", ids, "--json", of: "trainer").json()["loss"]?.double
        #expect(abs(try #require(loss) - Double(try #require(golden["loss"]).floats()[0])) < 1e-5)
        _ = try run("verify", "made")
        _ = try run("dus", "made", "-o", "deep", "--to", "3")
        _ = try run("verify", "deep")
        _ = try run("convert", source, "-o", "wide", "--dequantize", "--dtype", "f32")
        _ = try run("verify", "wide")
        let wide = try Checkpoint.open(folder.appending(path: "wide").path())
        #expect(wide.tensors.values.allSatisfy { $0.type == .f32 })
        for (key, tensor) in wide.tensors {
            #expect(try bytes(tensor.cast(to: .bf16)) == bytes(#require(result[key])), "\(key)")
        }
    }

    @Test func scalesOfActivationsAreDroppedAndTold() throws {
        let run = try run("convert", Self.path("fp8-whole"), "-o", "made", "--dequantize", "--json")
        #expect(try run.json()["dropped"]?.array?.count == 14)
        #expect(run.messages.contains("14 scales of activations"))
        #expect(run.messages.contains("quantization_config: "))
    }

    @Test func undoSaysWhatIsLost() throws {
        _ = try run("convert", Self.path("fp8-blocks"), "-o", "made", "--dequantize")
        let undo = try CommandRun(["undo", "made", "-o", "back"], in: folder)
        #expect(undo.messages.contains("it was quantised, and its scales are no longer apart"))
    }

    @Test func halfPrecisionIsRefused() throws {
        let run = try CommandRun(["convert", "x", "--dequantize", "--dtype", "f16"], in: folder)
        #expect(run.code == 64 && run.messages.contains("--dequantize makes bf16 or f32, not f16"))
    }
}
