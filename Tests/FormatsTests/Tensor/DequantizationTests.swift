import Foundation
import Testing

@testable import Formats

/// The numbers are those of transformers, bit for bit.
@Suite struct DequantizationTests {
    private func fixture() throws -> Checkpoint {
        let folder = try #require(Bundle.module.resourcePath)
        return try Checkpoint.open(folder + "/Fixtures/dequantization.safetensors")
    }

    private func bytes(_ tensor: TensorExpression, _ range: Range<Int>? = nil) throws -> [UInt8] {
        let range = range ?? 0..<tensor.byteCount
        var bytes = [UInt8](repeating: 0, count: range.count)
        var span = bytes.mutableSpan
        var room = unsafe span.mutableBytes
        try tensor.read(range, into: &room)
        return bytes
    }

    @Test(arguments: [
        ("blocks", Dequantization.blocks(rows: 4, columns: 5)), ("experts", .blocks(rows: 2, columns: 4)),
        ("rows", .blocks(rows: 1, columns: 10)), ("whole", .blocks(rows: 5, columns: 7)),
        ("half-scales", .blocks(rows: 2, columns: 4)), ("microscaled", .microscaled),
    ])
    func asTransformers(name: String, scheme: Dequantization) throws {
        let tensors = try fixture()
        let values = try #require(tensors["\(name).values"])
        let scales = try #require(tensors["\(name).scales"])
        let expected = try #require(tensors["\(name).bf16"])
        var made = try values.dequantized(by: scales, scheme, to: .bf16)
        if scheme == .microscaled { made = try made.transposed() }
        #expect(made.shape == expected.shape && made.type == .bf16)
        #expect(try bytes(made) == bytes(expected))
        // Any part is the part of the whole.
        for start in stride(from: 0, to: made.byteCount - 6, by: 14) {
            #expect(try bytes(made, start..<start + 6) == Array(bytes(expected)[start..<start + 6]))
        }
        let wide = try values.dequantized(by: scales, scheme, to: .f32).cast(to: .bf16)
        if scheme != .microscaled { #expect(try bytes(wide) == bytes(expected)) }
        // The manifest's form is read again.
        let source = SourceListBox()
        let json = source.provenance(of: made).json
        let again = try Provenance.read(json, ManifestReader(file: "surgery.json", tensor: "t"))
        #expect(again == source.provenance(of: made))
    }

    private final class SourceListBox {
        private var sources = SourceList()
        func provenance(of tensor: TensorExpression) -> Provenance { tensor.provenance(&sources) }
    }

    /// The last block of a row or column may be smaller, as DeepSeek has it.
    @Test func blocksAtTheEdge() throws {
        func tensor(_ type: ElementType, _ shape: [Int], _ bytes: [UInt8]) throws -> TensorExpression {
            try .stored(MemoryTensor(name: "t", type: type, shape: shape, bytes: bytes))
        }
        // 1 in E4M3 is 0x38; scales of 2⁰, 2¹ … as exponents.
        let values = try tensor(.f8E4M3, [3, 5], [UInt8](repeating: 0x38, count: 15))
        let scales = try tensor(.u8, [2, 3], [127, 128, 129, 130, 131, 132])
        let made = try values.dequantized(by: scales, .blocks(rows: 2, columns: 2), to: .f32)
        #expect(try made.floats() == [1, 1, 2, 2, 4, 1, 1, 2, 2, 4, 8, 8, 16, 16, 32])
        for (rows, columns) in [(1, 2), (2, 5), (0, 2)] {
            #expect(throws: UserFacingError.self) {
                try values.dequantized(by: scales, .blocks(rows: rows, columns: columns), to: .f32)
            }
        }
        #expect(throws: UserFacingError.self) { try values.dequantized(by: scales, .microscaled, to: .f32) }
        #expect(throws: UserFacingError.self) {
            try values.dequantized(by: scales, .blocks(rows: 2, columns: 2), to: .u8)
        }
    }
}
