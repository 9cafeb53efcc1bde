import OrderedCollections
import Testing

@testable import Formats

@Suite("Hostile HDF5 files")
struct HDF5HostileTests {
    /// What the error of each file says.
    private static let words = [
        "array": "arrays inside elements", "bomb": "only 0 are stored",
        "bomb-contiguous": "only 0 are stored",
        "bomb-uncountable": "can't be counted", "chunk-bomb": "can be unpacked at once",
        "compound": "compound values", "cycle": "a/b is the same group as a",
        "dangling": "link is a soft link",
        "deep": "more than 64 groups deep", "doubled": "b is the same group as a",
        "extended-float": "floating-point numbers of 16 bytes", "external-link": "link is an external link",
        "external-storage": "kept in external files", "lzf": "filter 32000 (lzf)",
        "missing-layer": "no dataset gone", "missing-weight": "no dataset dense/gone",
        "named-type": "t is a named type", "no-weight-names": "attribute weight_names is not there",
        "null": "no shape", "opaque": "2 opaque bytes (attribute dtype", "opaque-other": "said to be float7",
        "reference": "references", "root-cycle": "root is the same group as /", "soft": "link is a soft link",
        "text": "strings", "virtual": "virtual dataset",
        "weight-names-numbers": "attribute weight_names is not",
    ]

    @Test func eachIsRefusedInASentence() throws {
        let files = try Folder.names(HDF5Fixtures.path("hostile"))
        #expect(files.count == Self.words.count)
        for file in files {
            let path = try HDF5Fixtures.path("hostile/\(file)")
            let error = #expect(throws: CheckpointError.self, "\(file)") { try Checkpoint.open(path) }
            let words = Self.words[String(file.dropLast(3))] ?? "unknown file"
            #expect(error?.description.contains(words) == true, "\(file): \(error?.description ?? "")")
            #expect(error?.fault == .input)
            #expect(error?.description.hasPrefix(path) == true)
        }
    }

    @Test(arguments: ["types.h5", "packed.h5", "keras2-variable.h5", "presets/llama-bf16/model.weights.h5"])
    func filesCutOffAreRefused(name: String) throws {
        let folder = try TemporaryFolder()
        let whole = try SourceFile(path: HDF5Fixtures.path(name)).bytes()
        for count in Set((0..<24).map { whole.count * $0 / 24 } + [1, 7, 8, 9, 95, 96, 97, whole.count - 1]) {
            try folder.write("cut.h5", Array(whole[..<count]))
            #expect(throws: CheckpointError.self, "\(count)") { try Checkpoint.open(folder.path("cut.h5")) }
        }
    }

    /// Files with some bytes changed: an error or a model, but no crash, and no end in neither.
    @Test(arguments: ["types.h5", "packed.h5", "keras2-variable.h5", "twelve.weights.h5"])
    func filesWithChangedBytesDoNoHarm(name: String) throws {
        let folder = try TemporaryFolder()
        let whole = try SourceFile(path: HDF5Fixtures.path(name)).bytes()
        var state = UInt64(5)
        func random(below bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var (opened, refused) = (0, 0)
        for _ in 0..<40 {
            var bytes = whole
            for _ in 0...random(below: 8) { bytes[random(below: bytes.count)] = UInt8(random(below: 256)) }
            try folder.write("changed.h5", bytes)
            do {
                for tensor in try Checkpoint.open(folder.path("changed.h5")).tensors.values {
                    _ = try tensor.firstDifference(from: tensor)
                }
                opened += 1
            } catch {
                #expect(error is CheckpointError || error is TensorError)
                refused += 1
            }
        }
        #expect(opened > 0 && refused > 0)
    }

    @Test func anIndexIsCheckedAgainstItsFiles() throws {
        let folder = try TemporaryFolder()
        let source = try HDF5Fixtures.path("presets/mistral-sharded")
        for name in try Folder.names(source) {
            try folder.write(name, SourceFile(path: Path.join(source, name)).bytes())
        }
        #expect(try Checkpoint.open(folder.path).tensors.isEmpty == false)
        let index = String(decoding: try folder.bytes("model.weights.json"), as: UTF8.self)
        try folder.write("model.weights.json", index.replacing("model_00000", with: "../model_00000"))
        #expect(throws: CheckpointError.self) { try Checkpoint.open(folder.path) }
        try folder.write(
            "model.weights.json", index.replacing("/layers/mistral_layer", with: "/layers/other_layer"))
        #expect(throws: CheckpointError.self) { try Checkpoint.open(folder.path) }
        try folder.write("model.weights.json", index)
        try Folder.remove(folder.path("model_00001.weights.h5"))
        let error = #expect(throws: CheckpointError.self) { try Checkpoint.open(folder.path) }
        #expect(error?.description.contains("model_00001.weights.h5, which is not there") == true)
    }
}
