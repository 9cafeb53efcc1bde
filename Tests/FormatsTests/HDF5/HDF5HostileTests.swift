import OrderedCollections
import TestSupport
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
