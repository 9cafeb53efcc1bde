import OrderedCollections
import TestSupport
import Testing

@testable import Formats

@Suite("Reading HDF5")
struct HDF5ReadingTests {
    @Test(arguments: [
        ("types.h5", "types"), ("packed.h5", "packed"), ("keras2.h5", "keras2"),
        ("keras2-variable.h5", "keras2-variable"), ("keras2-split.h5", "keras2-split"),
        ("tf_model.h5", "tf_model"), ("twelve.weights.h5", "twelve"), ("dense.h5", "dense"),
        ("latest.h5", "latest"),
    ])
    func everyNumberIsThere(file: String, reference: String) throws {
        let found = try Checkpoint.open(HDF5Fixtures.path(file))
        try HDF5Fixtures.expectEqual(
            found, Checkpoint.open(HDF5Fixtures.path("\(reference).safetensors")))
        #expect(!found.tensors.isEmpty)
    }

    @Test func plainDataIsARangeOfTheFile() throws {
        let types = try Checkpoint.open(HDF5Fixtures.path("types.h5"))
        for (name, tensor) in types.tensors where tensor.byteCount > 0 {
            guard case .leaf(let storage) = tensor.node else { continue }
            let isPlain = !name.hasPrefix("big/") || name.hasSuffix("1")
            #expect((storage.fileRange != nil) == isPlain, "\(name)")
            #expect(storage.origin?.file === types.sources[0])
        }
    }

    @Test func anyPartOfPackedDataCanBeRead() throws {
        let packed = try Checkpoint.open(HDF5Fixtures.path("packed.h5"))
        for name in ["all/big", "cube", "bf16"] {
            let tensor = try #require(packed.tensors[name])
            let whole = try bytes(of: tensor)
            let size = try #require(tensor.type.byteSize)
            for start in stride(from: 0, to: whole.count, by: size * 7) {
                for end in stride(from: start + size, through: whole.count, by: size * 13) {
                    var part = [UInt8](repeating: 0, count: end - start)
                    var span = part.mutableSpan
                    var room = unsafe span.mutableBytes
                    try tensor.read(start..<end, into: &room)
                    #expect(part == Array(whole[start..<end]))
                }
            }
        }
    }

    /// What was never written is filled in, in the byte order that the file has: 1.5 is stored from its last byte on.
    @Test(arguments: [(0x20, [0, 0, 0xC0, 0x3F]), (0x21, [0x3F, 0xC0, 0, 0])] as [(UInt8, [UInt8])])
    func whatWasNeverWrittenIsFilledIn(order: UInt8, element: [UInt8]) throws {
        let folder = try TemporaryFolder()
        var file = try InputFile(path: HDF5Fixtures.path("packed.h5")).bytes()
        // The bits of the type of `unwritten`, the lowest of which is its byte order.
        try #require(file[57_920..<57_923].elementsEqual([0x11, 0x20, 0x1F]))
        file[57_921] = order
        try folder.write("filled.h5", file)
        let tensor = try #require(try Checkpoint.open(folder.path("filled.h5")).tensors["unwritten"])
        #expect(try bytes(of: tensor) == (0..<16).flatMap { _ in element })
    }

    @Test(arguments: ["dense.h5", "latest.h5"]) func attributesInHeapsAreRead(name: String) throws {
        let model = try Checkpoint.open(HDF5Fixtures.path(name))
        let words = try #require(model.format.structure?.groups["many"])
        #expect(words.count == 13)
        #expect(words.strings("word_11") == ["word 11"])
        guard case .raw(_, let bytes) = words.first(where: { $0.name == "large" })?.value else {
            Issue.record("no large attribute")
            return
        }
        #expect(bytes.count == 4_800 && bytes[8 * 599..<8 * 599 + 2].elementsEqual([0x57, 0x02]))
        #expect(model.format.structure?.attributes["w"]?.count == 12)
    }

    @Test func fletchersChecksumIsTheReferences() {
        // Known values of Fletcher-32 over big-endian words, the sums beginning at 0.
        #expect(HDF5Filter.fletcher([]) == 0)
        #expect(HDF5Filter.fletcher([1]) == 0x0100_0100)
        #expect(HDF5Filter.fletcher([1, 2, 3, 4]) == (0x0102 + 0x0406) << 16 | 0x0406)
    }

    @Test func boxesCoverARunOfElements() {
        for shape in [[7], [3, 5], [2, 3, 4], [4, 1, 3], [1, 1]] {
            let count = shape.reduce(1, *)
            for start in 0..<count {
                for end in start...count {
                    let blocks = HDF5Block.covering(start..<end, shape: shape)
                    #expect(blocks.reduce(0) { $0 + $1.count } == end - start)
                    #expect(blocks.first.map { $0.start == start } ?? (start == end))
                    for block in blocks {
                        #expect(block.counts.reduce(1, *) == block.count)
                        #expect(zip(zip(block.origin, block.counts), shape).allSatisfy { $0.0 + $0.1 <= $1 })
                    }
                }
            }
        }
    }

    @Test func layersAreCountedNotSorted() throws {
        let twelve = try Checkpoint.open(HDF5Fixtures.path("twelve.weights.h5"))
        #expect(
            twelve.names[2] == "layers/tiny_block_2/vars/0"
                && twelve.names[10] == "layers/tiny_block_10/vars/0")
        #expect(twelve.format.structure?.layout == .keras3)
        #expect(
            twelve.format.structure?.groups["layers/tiny_block_10/vars"] == [
                HDF5Attribute(name: "name", text: "block_10")
            ])
    }

    @Test func kerasListsSayWhatIsThere() throws {
        let model = try Checkpoint.open(HDF5Fixtures.path("keras2-variable.h5"))
        #expect(
            model.format.structure?.layout == .keras2 && model.format.structure?.prefix == "model_weights/")
        #expect(
            model.names == [
                "embedding/embedding/embeddings:0", "dense/dense/kernel:0", "dense/dense/bias:0",
                "a_head/a_head/kernel:0",
            ])
    }

    @Test(arguments: ["llama-bf16", "mistral-sharded", "gpt2"]) func presetsAreModels(name: String) throws {
        let preset = try Checkpoint.open(HDF5Fixtures.path("presets/\(name)"))
        #expect(preset.configuration?["config"]?["num_layers"]?.int == 4)
        #expect(preset.auxiliaryFiles.map(\.name).contains("metadata.json"))
        #expect(preset.tensors["layers/reversible_embedding/vars/0"]?.shape == [29, 8])
        #expect(
            preset.tensors["layers/reversible_embedding/vars/0"]?.type
                == (name == "llama-bf16" ? .bf16 : .f32))
        #expect(name != "mistral-sharded" || preset.sources.count > 1)
    }
}
