/// A dataset: what its elements are, and where they lie.
struct HDF5Dataset: Sendable {
    /// Where it is in the file's tree, as in `layers/dense/vars/0`.
    var path: String
    /// Where its header lies.
    let address: Int
    /// The type of its elements.
    let type: ElementType
    /// Its dimensions, outermost first; empty for a scalar.
    let shape: [Int]
    /// Where its elements are in the file.
    let layout: HDF5DataLayout
    /// Whether elements have to be turned around.
    let isBigEndian: Bool
    /// An element of what was never written, as the file has it; nil for zeros.
    let fillValue: [UInt8]?
    /// Its attributes without the one that marks bfloat16.
    let attributes: [HDF5Attribute]

    /// How much larger than what is stored for them numbers can be: zlib's limit, and then some.
    private static let largestExpansion = 2_000
    /// Datasets up to this many bytes may have nothing stored.
    private static let smallest = 1 << 20

    /// Checks a dataset's header as a whole; nil for what is no dataset.
    init?(
        _ object: HDF5Object, address: Int, path: String, file: InputFile
    ) throws(UserFacingError) {
        guard case .dataset(let datatype, let space, let layout, let fillValue) = object.kind else {
            return nil
        }
        type = try datatype.elementType(
            marked: object.attributes.first { $0.name == HDF5Datatype.markName }?.strings)
        guard let shape = space.shape else { throw .hdf5Shape("no shape", expected: "a tensor needs one") }
        // A layout is of elements that can be counted.
        let bytes = space.count.map { $0 * datatype.size } ?? 0
        let stored = layout.storedByteCount(of: bytes)
        let (most, overflow) = stored.multipliedReportingOverflow(by: Self.largestExpansion)
        guard bytes <= Self.smallest || overflow || bytes <= most, stored <= file.size else {
            throw .hdf5Shape("shape \(shape), \(bytes) bytes", expected: "only \(stored) are stored")
        }
        (self.path, self.address, self.shape, self.layout) = (path, address, shape, layout)
        (isBigEndian, self.fillValue) = (datatype.isBigEndian && datatype.size > 1, fillValue)
        attributes =
            type == .bf16
            ? object.attributes.filter { $0.name != HDF5Datatype.markName } : object.attributes
    }

    /// Its bytes where they lie in the file as a tensor has them; nil when they have to be made of what is there.
    func range(in file: InputFile) -> FileRange? {
        guard case .contiguous(let start?) = layout, !isBigEndian, let count = type.byteCount(shape: shape),
            count > 0
        else { return nil }
        return FileRange(file: file, offset: start, count: count)
    }
}
