/// Figures as people read them.
///
/// The units are decimal: 1 kB is 1,000 bytes, as disks and model hubs count.
public enum Units {
    /// A number of bytes: "512 B", "1.4 GB".
    public static func bytes(_ count: Int) -> String {
        scaled(count, names: ["B", "kB", "MB", "GB", "TB", "PB", "EB"]) { _ in 1 }
    }

    /// A large number in four significant digits: "8192", "134.5 M", "10.73 B".
    public static func count(_ count: Int) -> String {
        guard count.magnitude >= 10_000 else { return String(count) }
        return scaled(count, names: ["", "k", "M", "B", "T", "P", "E"]) { $0 < 10 ? 3 : $0 < 100 ? 2 : 1 }
    }

    /// An exact number with its thousands set apart: "10,731,524,096".
    public static func grouped(_ number: Int) -> String {
        let digits = String(number.magnitude)
        var text = number < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0 && (digits.count - index).isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return text
    }

    /// A time: "0.8 s", "42 s", "3 min 5 s", "2 h 7 min".
    public static func duration(seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e12 else { return "unknown" }
        guard seconds >= 10 else { return fixed(max(seconds, 0), digits: 1) + " s" }
        let whole = Int(seconds.rounded())
        switch whole {
        case ..<60: return "\(whole) s"
        case ..<3600: return "\(whole / 60) min \(whole % 60) s"
        default: return "\(whole / 3600) h \(whole % 3600 / 60) min"
        }
    }

    /// A number with a fixed count of digits after the point, halves rounded away from zero.
    public static func fixed(_ value: Double, digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (value.magnitude * scale).rounded()
        guard value.isFinite, scaled < 9e18 else { return "\(value)" }
        let text = String(Int(scaled))
        let padded = String(repeating: "0", count: max(0, digits + 1 - text.count)) + text
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return sign + padded }
        return sign + padded.dropLast(digits) + "." + padded.suffix(digits)
    }

    /// A number without a point where it has no part behind it: "20", "0.3".
    public static func plain(_ number: Double) -> String {
        number == number.rounded() && number.magnitude < 1e15 ? String(Int(number)) : "\(number)"
    }

    /// The number over the largest power of a thousand below it, and that power's name.
    private static func scaled(_ count: Int, names: [String], digits: (Double) -> Int) -> String {
        var value = Double(count.magnitude)
        var power = 0
        while value >= 999.95 && power + 1 < names.count {
            value /= 1000
            power += 1
        }
        let sign = count < 0 ? "-" : ""
        guard power > 0 else { return "\(count)" + (names[0].isEmpty ? "" : " \(names[0])") }
        return sign + fixed(value, digits: digits(value)) + " \(names[power])"
    }
}
