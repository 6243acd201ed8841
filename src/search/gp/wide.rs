//! Arithmetic with the widest instructions that the machine has.
//!
//! Only loops over independent numbers, or over a fixed number of partial sums, become wider: each number goes through the
//! same roundings in the same order (nothing is fused, nothing is reordered), so that the bits are those of any machine.

/// A function that is compiled twice on x86-64, with AVX2 and without, and called as the machine allows. What it calls
/// becomes wide too where it is always inlined.
macro_rules! wide {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        #[inline]
        $vis fn $name($($argument: $type),*) $(-> $out)? {
            #[inline(always)]
            fn plain($($argument: $type),*) $(-> $out)? $body
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                #[target_feature(enable = "avx2")]
                fn with_avx2($($argument: $type),*) $(-> $out)? {
                    plain($($argument),*)
                }
                #[expect(unsafe_code, reason = "the machine was asked for what the function needs")]
                // SAFETY: this machine has AVX2.
                return unsafe { with_avx2($($argument),*) };
            }
            plain($($argument),*)
        }
    };
}

pub(crate) use wide;
