// The keys whose holder signed what is in the corpora.
#pragma once

#include <string_view>

namespace tokenring::fuzz {

inline constexpr std::string_view kJwks =
    R"({"keys":[{"kty":"RSA","kid":"r","e":"AQAB","n":")"
    "qw-D_wXdnClIfkM2ZJDo5B_ufYqJW1ajl_MQRoOXWHZiF24QskU6rQPoKR0f17I5XH09MQhJ0BJi33Ep"
    "kePyX66kzGWTORVO2_Opw8NzsMO7iTFJb2KBAoU2UVllBvCwgx5ZCJiWN5YFeeETXOiGaet6lGxLDe_k"
    "LZHkjRVsltPosn6aS5wVY8dCfIx2wIinK4g1MJ8DSyU0Bvm38IsbAkPB1rbqLeorO7n58mxYPovf_6ri"
    "8hOMH3aQAnfyr-5lLytsildYskBqIrEmvw6Q6UkmVAgZDkIpKM7OmDFWzaVmMs1AbmF4DbwtQCL7e12x"
    "A2g47aNTtvR7_jUYVyb9dw"
    R"("},{"kty":"EC","kid":"e","crv":"P-256",)"
    R"("x":"lpgOkenLRT7rcIyitrY5yyRL6aNKY2g2gSdh1AVXpbI",)"
    R"("y":"4yAvhKyrUH-O9GvIippPed2pDxGfrjK_sGwuxk0W8Xo"}]})";

}  // namespace tokenring::fuzz
