import Formats
import Models
import OrderedCollections
import Surgery
import Testing

@Suite("Conversion")
struct ConversionTests {
    @Test func onlyFloatingPointChanges() throws {
        let source = Checkpoint(
            path: "model",
            tensors: [
                "w": try .zeros(.f32, shape: [2, 3]), "h": try .zeros(.f16, shape: [2]),
                "mask": try .zeros(.bool, shape: [4]), "ids": try .zeros(.i64, shape: [4]),
            ])
        let result = try source.converted(to: .bf16)
        #expect(result.tensors.values.map(\.type) == [.bf16, .bf16, .bool, .i64])
        #expect(result.operations.map(\.name) == ["convert"])
        #expect(try source.converted(to: nil).tensors.values.map(\.type) == [.f32, .f16, .bool, .i64])
    }

    @Test func refusesQuantisedModels() throws {
        let source = try MemoryModels.layers(
            2, configuration: #"{"num_hidden_layers": 2, "quantization_config": {"quant_method": "fp8"}}"#)
        #expect(throws: UserFacingError.quantized(path: "model")) { try source.converted(to: .f32) }
        #expect(try source.converted(to: nil).tensors.count == 6)
    }
}
