internal import CHDF5

/// What the elements of a dataset are.
struct HDF5Type {
    /// The type under the name that safetensors gives it; nil when it has none.
    let type: ElementType?
    /// Whether the bytes are in this machine's order.
    let isLittleEndian: Bool
    /// What to call it where it is refused.
    let words: String

    /// The attribute by which Keras marks two bytes as a bfloat16.
    static let markName = "dtype"
    /// What the attribute says.
    static let mark = "bfloat16"

    /// Reads a dataset's type.
    init(_ stored: borrowing HDF5Handle, attributes: [HDF5Attribute]) {
        let size = H5Tget_size(stored.id)
        let order = H5Tget_order(stored.id)
        isLittleEndian = size == 1 || order == H5T_ORDER_LE || order == H5T_ORDER_NONE
        _ = HDF5Library.takeError()
        switch H5Tget_class(stored.id) {
        case H5T_INTEGER:
            type = Self.integer(stored, size: size)
            words = "integers of \(size) bytes"
        case H5T_FLOAT:
            type = Self.float(stored, size: size)
            words = "floating-point numbers of \(size) bytes and an unusual layout"
        case H5T_ENUM:
            type = Self.isTruth(stored, size: size) ? .bool : nil
            words = "an enumeration"
        case H5T_OPAQUE:
            let mark = attributes.first { $0.name == Self.markName }?.strings
            type = size == 2 && mark == [Self.mark] ? .bf16 : nil
            words =
                mark.map { "\(size) opaque bytes that are said to be \($0.joined(separator: ", "))" }
                ?? "\(size) opaque bytes (attribute \(Self.markName) = \"\(Self.mark)\" would make them numbers)"
        case H5T_STRING: (type, words) = (nil, "strings")
        case H5T_COMPOUND: (type, words) = (nil, "compound values")
        case H5T_REFERENCE: (type, words) = (nil, "references")
        case H5T_VLEN: (type, words) = (nil, "lists of any length")
        case H5T_ARRAY: (type, words) = (nil, "arrays inside elements")
        default: (type, words) = (nil, "elements of an unknown kind")
        }
    }

    /// The type that a tensor's elements have in a file; nil where HDF5 has none.
    static func handle(for type: ElementType) -> HDF5Handle? {
        switch type {
        case .u8, .u16, .u32, .u64: HDF5Handle(CHDF5Integer(type.bits / 8, 0))
        case .i8, .i16, .i32, .i64: HDF5Handle(CHDF5Integer(type.bits / 8, 1))
        case .f16, .f32, .f64: HDF5Handle(CHDF5Float(type.bits / 8))
        // As Keras has it: two bytes without a meaning of their own, and an attribute that says what they are.
        case .bf16: HDF5Handle(H5Tcreate(H5T_OPAQUE, 2))
        case .bool: HDF5Handle(CHDF5Truth())
        default: nil
        }
    }

    private static func integer(_ stored: borrowing HDF5Handle, size: Int) -> ElementType? {
        guard H5Tget_precision(stored.id) == size * 8, H5Tget_offset(stored.id) == 0 else { return nil }
        let isSigned = H5Tget_sign(stored.id) == H5T_SGN_2
        switch size {
        case 1: return isSigned ? .i8 : .u8
        case 2: return isSigned ? .i16 : .u16
        case 4: return isSigned ? .i32 : .u32
        case 8: return isSigned ? .i64 : .u64
        default: return nil
        }
    }

    /// Where sign, exponent and fraction lie tells the type; newer libraries have a bfloat16 of their own.
    private static func float(_ stored: borrowing HDF5Handle, size: Int) -> ElementType? {
        var (sign, exponent, exponentSize, fraction, fractionSize) = (0, 0, 0, 0, 0)
        guard size <= 8,
            unsafe H5Tget_fields(
                stored.id, &sign, &exponent, &exponentSize, &fraction, &fractionSize) >= 0,
            H5Tget_precision(stored.id) == size * 8, H5Tget_norm(stored.id) == H5T_NORM_IMPLIED,
            fraction == 0, exponent == fractionSize, sign == exponent + exponentSize,
            H5Tget_ebias(stored.id) == 1 << (exponentSize - 1) - 1
        else { return nil }
        switch (size, exponentSize, fractionSize) {
        case (2, 5, 10): return .f16
        case (2, 8, 7): return .bf16
        case (4, 8, 23): return .f32
        case (8, 11, 52): return .f64
        default: return nil
        }
    }

    /// h5py's truth values: bytes of which 0 is called FALSE and 1 TRUE.
    private static func isTruth(_ stored: borrowing HDF5Handle, size: Int) -> Bool {
        guard size == 1, H5Tget_nmembers(stored.id) == 2 else { return false }
        for (value, name) in ["FALSE", "TRUE"].enumerated() {
            var found: UInt8 = 255
            guard unsafe H5Tenum_valueof(stored.id, name, &found) >= 0, found == value else { return false }
        }
        return true
    }
}
